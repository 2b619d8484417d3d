"""Acts on a data set, its snapshots and exports, and corrected predictions, as the client asks for them."""

from typing import get_args

import pytest

import tsukiji
from devtools.scripted_service import NOW, Answer, dataset, job, page, prediction, problem
from tsukiji import types

REVISIONS = "/v1/datasets/dst_1/revisions"


def revision(**members):
    record = {"object": "revision", "id": "rev_1", "dataset_id": "dst_1", "act": "relabel", "field": "label"}
    return {**record, "description": "relabel", "images": 3, "created_at": NOW, **members}


def snapshot(**members):
    return {
        "object": "snapshot",
        "id": "snp_1",
        "dataset_id": "dst_1",
        "sha256": "ab",
        "images": 3,
        "created_at": NOW,
    } | members


@pytest.fixture
def pets(client, service):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("POST", REVISIONS, Answer(revision(), 201))
    return client.datasets.get("pets")


ASKED = [
    (lambda pets: pets.relabel("dog", label="cat"), {"act": "relabel", "label": "dog", "filter": {"label": "cat"}}),
    (lambda pets: pets.relabel(["b", "a"], ["img_1"]), {"act": "relabel", "labels": ["b", "a"], "images": ["img_1"]}),
    (lambda pets: pets.relabel([], unlabelled=True), {"act": "relabel", "labels": [], "filter": {"unlabelled": True}}),
    (lambda pets: pets.add_labels("a", label="b"), {"act": "add_labels", "labels": ["a"], "filter": {"label": "b"}}),
    (
        lambda pets: pets.remove_labels(["a", "b"], everything=True),
        {"act": "remove_labels", "labels": ["a", "b"], "filter": {}},
    ),
    (
        lambda pets: pets.accept_labels({"img_1": ["a", "b"], "img_2": "a"}),
        {
            "act": "accept_labels",
            "labels": [{"image": "img_1", "labels": ["a", "b"]}, {"image": "img_2", "label": "a"}],
        },
    ),
    (lambda pets: pets.relabel(None, ["img_1"]), {"act": "relabel", "label": None, "images": ["img_1"]}),
    (lambda pets: pets.exclude(everything=True), {"act": "exclude", "filter": {}}),
    (lambda pets: pets.restore(excluded=True), {"act": "restore", "filter": {"excluded": True}}),
    (
        lambda pets: pets.set_split("test", split="unassigned"),
        {"act": "split", "split": "test", "filter": {"split": "unassigned"}},
    ),
    (lambda pets: pets.crop((0, 1, 2, 3), ["img_1"]), {"act": "crop", "crop": [0, 1, 2, 3], "images": ["img_1"]}),
    (lambda pets: pets.crop(None, unlabelled=True), {"act": "crop", "crop": None, "filter": {"unlabelled": True}}),
    (
        lambda pets: pets.review("accepted", review="pending"),
        {"act": "review", "review": "accepted", "filter": {"review": "pending"}},
    ),
    (lambda pets: pets.merge_labels(["a", "b"], "c"), {"act": "merge_labels", "labels": ["a", "b"], "into": "c"}),
    (lambda pets: pets.rename_label("a", "b"), {"act": "rename_label", "label": "a", "to": "b"}),
    (lambda pets: pets.delete_label("a"), {"act": "delete_label", "label": "a"}),
    (
        lambda pets: pets.accept_labels({"img_1": "a"}),
        {"act": "accept_labels", "labels": [{"image": "img_1", "label": "a"}]},
    ),
    (
        lambda pets: pets.accept_crops({"img_1": (0, 1, 2, 3)}),
        {"act": "accept_crops", "crops": [{"image": "img_1", "crop": [0, 1, 2, 3]}]},
    ),
    (
        lambda pets: pets.keep_best([("img_1", ["img_1", "img_2"])]),
        {"act": "keep_best", "groups": [{"keep": "img_1", "images": ["img_1", "img_2"]}]},
    ),
]


@pytest.mark.parametrize(("do", "asked"), ASKED)
def test_each_act_is_asked_for_in_the_words_of_the_service(pets, service, do, asked):
    """And what is asked for is what the service takes."""
    assert do(pets).images == 3
    (request,) = service.asked_for("POST", REVISIONS)
    assert request.json == asked
    kinds = {kind.model_fields["act"].annotation.__args__[0]: kind for kind in get_args(types.Act)}
    assert kinds[asked["act"]].model_validate(asked)


def test_an_act_on_everything_has_to_be_meant(pets, service):
    for wrong in (pets.exclude, lambda: pets.exclude(["img_1"], label="cat"), lambda: pets.relabel("x")):
        with pytest.raises(ValueError, match="everything=True"):
            wrong()
    assert service.asked_for("POST", REVISIONS) == []


def test_history_and_undo(pets, service):
    service.answer("GET", REVISIONS, page(revision(), revision(id="rev_0")))
    change = {"image_id": "img_1", "before": "cat", "after": "dog"}
    service.answer("GET", f"{REVISIONS}/rev_1/changes", page(change))
    service.answer("POST", f"{REVISIONS}/rev_1/undo", Answer(revision(id="rev_2", act="undo", undoes="rev_1"), 201))
    service.answer(
        "POST", f"{REVISIONS}/rev_0/undo", problem(409, "changed_since", headers={"x-should-retry": "false"})
    )
    first, older = pets.revisions()
    assert [found.after for found in pets.changes(first)] == ["dog"]
    assert pets.undo(first).undoes == "rev_1"
    with pytest.raises(tsukiji.ConflictError) as raised:
        pets.undo(older)
    assert raised.value.code == "changed_since"


def test_pictures_are_chosen(pets, service):
    service.answer("GET", "/v1/datasets/dst_1/images", page())
    assert list(pets.pictures(excluded=True, review="pending")) == []
    assert service.asked[-1].query == {"excluded": ["true"], "review": ["pending"]}


def test_snapshots_are_frozen_listed_and_compared(client, pets, service):
    service.answer("POST", "/v1/datasets/dst_1/snapshots", Answer(snapshot(), 201))
    service.answer("GET", "/v1/datasets/dst_1/snapshots", page(snapshot(), snapshot(id="snp_0")))
    service.answer("GET", "/v1/snapshots/snp_1", snapshot())
    row = {"image_id": "img_1", "name": "1.jpg", "sha256": "ab", "changes": ["added"], "label_b": "cat"}
    counts = {"added": 2, "removed": 0, "relabelled": 0, "resplit": 0, "recropped": 0, "unchanged": 1}
    found = {"a": "snp_0", "b": "snp_1", "equal": False, **counts}
    service.answer(
        "GET", "/v1/snapshots/compare", page(row, cursor="more") | found, page(row) | found, page(row) | found
    )
    assert pets.snapshot().id == "snp_1"
    newest, oldest = pets.snapshots()
    assert client.snapshots.get("snp_1").sha256 == newest.sha256
    assert client.snapshots.compare(oldest, newest).added == 2
    assert len(list(client.snapshots.changes(oldest, newest, "added"))) == 1
    assert service.asked[-1].query == {"a": ["snp_0"], "b": ["snp_1"], "change": ["added"]}


def test_a_data_set_is_saved_as_its_ending_or_its_format_says(pets, service, tmp_path):
    service.answer("GET", "/v1/datasets/dst_1/export", b"zipped")
    assert pets.download(tmp_path / "pets.zip").read_bytes() == b"zipped"
    pets.download(tmp_path / "other.zip", "huggingface")
    pets.download(tmp_path / "table.CSV")
    assert [asked.query["format"] for asked in service.asked[-3:]] == [["imagefolder"], ["huggingface"], ["csv"]]
    with pytest.raises(ValueError, match="the format is only known"):
        pets.download(tmp_path / "pets.rar")


def test_a_broken_download_leaves_no_file(client, service, tmp_path):
    service.answer("GET", "/v1/snapshots/snp_1", snapshot())
    service.answer("GET", "/v1/snapshots/snp_1/export", Answer(b"half", cut=True))
    with pytest.raises(tsukiji.APIConnectionError):
        client.snapshots.get("snp_1").download(tmp_path / "pets.zip")
    assert list(tmp_path.iterdir()) == []


FEEDBACK = {"object": "feedback", "dataset_id": "dst_1", "accepted": 1, "duplicates": 0, "rejected": 0, "items": []}


def test_predictions_are_corrected(client, service):
    service.answer("GET", "/v1/batches/bat_1", job("succeeded", "bat_1", "batch"))
    service.answer("POST", "/v1/jobs/bat_1/feedback", Answer(FEEDBACK, 201))
    assert client.batches.get("bat_1").correct({"a.png": "dog", 3: "cat"}, dataset="pets").accepted == 1
    assert service.asked[-1].json == {
        "corrections": [{"custom_id": "a.png", "label": "dog"}, {"seq": 3, "label": "cat"}],
        "dataset": "pets",
    }


def test_one_prediction_knows_where_it_is_corrected(client, service):
    service.answer("POST", "/v1/jobs/prd_1/feedback", Answer(FEEDBACK, 201))
    found = types.Prediction.model_validate(prediction(job_id="prd_1"))
    assert client.correct(found, "dog").dataset_id == "dst_1"
    assert service.asked[-1].json == {"corrections": [{"seq": 0, "label": "dog"}]}
    with pytest.raises(ValueError, match="does not say"):
        client.correct(types.Prediction.model_validate(prediction()), "dog")
