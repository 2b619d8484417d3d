"""Data sets whose images have several labels: sent, counted, found, changed, undone, frozen, exported, refused."""

import csv
import io
import json
import zipfile

import pytest

from tests.api.conftest import as_files, limited, picture, pictures, work

REVISIONS = "/v1/datasets/insects/revisions"
SETS = [["ant"], ["ant", "bee"], ["antlion", "bee"], [], None, ["ant"]]


@pytest.fixture
def insects(client):
    """Six pictures: sets of two, of one, the empty one, and one unlabelled."""
    made = client.post("/v1/datasets", json={"name": "insects", "kind": "multi_label"})
    assert (made.status_code, made.json()["kind"]) == (201, "multi_label")
    labels = ["" if labels is None else json.dumps(labels) for labels in SETS]
    sent = client.post("/v1/datasets/insects/images", files=as_files(pictures(6, 60)), data={"labels": labels})
    assert sent.json()["accepted"] == 6, sent.text
    assert [(file["label"], file["labels"]) for file in sent.json()["files"]] == [(None, labels) for labels in SETS]
    return made.json()["id"]


@pytest.fixture
def act(client, insects):
    def act(kind, **wanted):
        return client.post(REVISIONS, json={"act": kind, **wanted})

    return act


def images(client, **wanted):
    answer = client.get("/v1/datasets/insects/images", params={"limit": 200, **wanted})
    assert answer.status_code == 200, answer.text
    return sorted(answer.json()["data"], key=lambda image: image["name"])


def labels(client, **wanted):
    return [image["labels"] for image in images(client, **wanted)]


def send(client, blob, name, label, dataset="insects"):
    place = f"/v1/datasets/{dataset}/images"
    return client.post(place, files=[("files", (name, blob, "image/png"))], data={"label": label})


def test_an_image_counts_for_each_of_its_labels(client, insects):
    found = client.get("/v1/datasets/insects").json()
    assert {row["label"]: row["images"] for row in found["classes"]} == {"ant": 3, "bee": 2, "antlion": 1, None: 1}
    assert (found["images"], found["none_of_these"]) == (6, 1)
    assert client.get("/v1/datasets").json()["data"][0]["classes"] == found["classes"]


def test_label_means_has_this_label(client, insects):
    assert labels(client, label="ant") == [["ant"], ["ant", "bee"], ["ant"]]
    assert labels(client, label="antlion") == [["antlion", "bee"]]
    assert labels(client, label="Ant") == labels(client, label="an") == []
    assert (labels(client, unlabelled=True), labels(client, none_of_these=True)) == ([None], [[]])
    first = client.get("/v1/datasets/insects/images", params={"limit": 1, "label": "bee"}).json()
    rest = client.get("/v1/datasets/insects/images", params={"label": "bee", "cursor": first["next_cursor"]}).json()
    found = [row["labels"] for row in first["data"] + rest["data"]]
    assert sorted(found) == [["ant", "bee"], ["antlion", "bee"]]


@pytest.mark.parametrize(
    ("wanted", "after"),
    [
        (
            {"act": "rename_label", "label": "ant", "to": "zebra"},
            [["zebra"], ["bee", "zebra"], ["antlion", "bee"], [], None, ["zebra"]],
        ),
        (
            {"act": "merge_labels", "labels": ["ant", "antlion"], "into": "bee"},
            [["bee"], ["bee"], ["bee"], [], None, ["bee"]],
        ),
        ({"act": "delete_label", "label": "ant"}, [[], ["bee"], ["antlion", "bee"], [], None, []]),
        (
            {"act": "add_labels", "labels": ["wasp"], "filter": {}},
            [["ant", "wasp"], ["ant", "bee", "wasp"], ["antlion", "bee", "wasp"], ["wasp"], ["wasp"], ["ant", "wasp"]],
        ),
        (
            {"act": "remove_labels", "labels": ["bee", "ant"], "filter": {"label": "bee"}},
            [["ant"], [], ["antlion"], [], None, ["ant"]],
        ),
        ({"act": "relabel", "labels": [], "filter": {"unlabelled": True}}, [*SETS[:4], [], SETS[5]]),
        ({"act": "relabel", "label": "bee", "filter": {"label": "antlion"}}, [*SETS[:2], ["bee"], *SETS[3:]]),
        ({"act": "relabel", "labels": None, "filter": {}}, [None] * 6),
    ],
)
def test_an_act_on_labels_and_its_exact_undo(client, act, wanted, after):
    done = act(wanted.pop("act"), **wanted)
    assert done.status_code == 201, done.text
    assert labels(client) == after
    assert done.json()["images"] == sum(before != now for before, now in zip(SETS, after, strict=True))
    changes = client.get(done.json()["links"]["changes"]).json()["data"]
    assert all(change["after"] is None or isinstance(change["after"], list) for change in changes)
    assert client.post(done.json()["links"]["undo"]).status_code == 201
    assert labels(client) == SETS


def test_images_by_their_ids_and_labels_each_its_own(client, act):
    ids = [image["id"] for image in images(client)]
    assert act("add_labels", labels=["bee"], images=ids[:2]).json()["images"] == 1
    wanted = [{"image": ids[3], "labels": ["ant", "wasp"]}, {"image": ids[4], "label": "bee"}]
    assert act("accept_labels", labels=wanted).json()["images"] == 2
    assert labels(client)[3:5] == [["ant", "wasp"], ["bee"]]


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"act": "rename_label", "label": "ant", "to": "bee"}, 409, "conflict"),
        ({"act": "rename_label", "label": "an", "to": "x"}, 404, "not_found"),
        ({"act": "remove_labels", "labels": ["moth"], "filter": {}}, 404, "not_found"),
        ({"act": "add_labels", "labels": [], "filter": {}}, 422, "invalid_request"),
        ({"act": "relabel", "label": "a", "labels": ["a"], "filter": {}}, 422, "invalid_request"),
        ({"act": "relabel", "labels": ["a\x1fb"], "filter": {}}, 422, "invalid_request"),
        ({"act": "relabel", "labels": [f"{n:0>199}" for n in range(7)], "filter": {}}, 422, "invalid_request"),
        ({"act": "add_labels", "labels": [f"{n:0>198}" for n in range(6)], "filter": {}}, 422, "label_refused"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(client, act, wanted, status, code):
    refused = client.post(REVISIONS, json=wanted)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    assert labels(client) == SETS


@pytest.mark.parametrize(
    "wanted",
    [
        {"act": "add_labels", "labels": ["eel"]},
        {"act": "remove_labels", "labels": ["eel"]},
        {"act": "relabel", "labels": ["eel", "tuna"]},
        {"act": "relabel", "labels": []},
    ],
)
def test_sets_in_a_data_set_of_one_label_are_refused_with_the_way_out(client, dataset, wanted):
    refused = client.post("/v1/datasets/sushi/revisions", json=wanted | {"filter": {}})
    assert (refused.status_code, refused.json()["code"]) == (422, "several_labels")
    assert "multi_label" in refused.json()["hint"]


def test_a_set_of_one_is_that_label_where_there_is_one(client, dataset):
    one = {"act": "relabel", "labels": ["salmon"], "filter": {"label": "eel"}}
    assert client.post("/v1/datasets/sushi/revisions", json=one).status_code == 201
    found = client.get("/v1/datasets/sushi/images", params={"label": "salmon"}).json()["data"]
    assert [(image["label"], image["labels"]) for image in found] == [("salmon", ["salmon"])] * 4


def test_a_picture_from_several_folders_gets_all_their_labels_once(client, insects):
    blob = picture((1, 2, 3))
    assert send(client, blob, "ant/1.png", "ant").json()["files"][0]["labels"] == ["ant"]
    again = send(client, blob, "bee/1.png", "bee").json()["files"][0]
    assert (again["verdict"], again["labels"]) == ("duplicate", ["ant", "bee"])
    revision = client.get(REVISIONS).json()["data"][0]
    assert (revision["act"], revision["images"], revision["author"]) == ("import", 1, "tests")
    person = {"act": "remove_labels", "labels": ["bee"], "images": [again["image_id"]]}
    assert client.post(REVISIONS, json=person).json()["images"] == 1
    assert send(client, blob, "bee/1.png", "bee").json()["files"][0]["labels"] == ["ant"], "a second run adds nothing"
    known = client.get(f"/v1/images/{again['image_id']}").json()
    asked = client.post("/v1/datasets/insects/images/check", json={"sha256": [known["sha256"]]}).json()
    assert asked["labels"] == {known["sha256"]: ["ant"]}


def test_copies_in_one_request_get_all_their_labels_without_a_revision(client, insects):
    blob = picture((3, 2, 1))
    files = [("files", (name, blob, "image/png")) for name in ("ant/7.png", "bee/7.png")]
    sent = client.post("/v1/datasets/insects/images", files=files, data={"labels": ["ant", "bee"]}).json()
    assert [(file["verdict"], file["labels"]) for file in sent["files"]] == [
        ("accepted", ["ant", "bee"]),
        ("duplicate", ["ant", "bee"]),
    ]
    assert client.get(REVISIONS).json()["data"] == []


@pytest.mark.parametrize("sent", ['["a", 1]', '["a", ""]', '["\\u001f"]', json.dumps([f"{n:0>199}" for n in range(7)])])
def test_a_list_of_labels_that_is_none(client, insects, sent):
    refused = send(client, picture((5, 5, 5)), "1.png", sent)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/label")


def test_too_many_labels_are_refused(client, services, insects):
    services.settings = limited(services.settings, dataset_classes=4)
    assert send(client, picture((5, 5, 5)), "1.png", '["ant", "x", "y"]').status_code == 422
    assert send(client, picture((5, 5, 5)), "1.png", '["ant", "x"]').status_code == 201


def test_snapshots_tell_sets_and_what_changed(client, act):
    before = client.post("/v1/datasets/insects/snapshots").json()
    assert before["images"] == 5
    act("add_labels", labels=["wasp"], filter={"label": "antlion"})
    after = client.post("/v1/datasets/insects/snapshots").json()
    found = client.get("/v1/snapshots/compare", params={"a": before["id"], "b": after["id"]}).json()
    (change,) = found["data"]
    assert (change["label_a"], change["labels_a"], change["labels_b"]) == (
        None,
        ["antlion", "bee"],
        ["antlion", "bee", "wasp"],
    )
    rows = client.get(after["links"]["export"], params={"format": "jsonl"}).text.splitlines()
    assert sorted(json.loads(row)["labels"] for row in rows) == [
        [],
        ["ant"],
        ["ant"],
        ["ant", "bee"],
        change["labels_b"],
    ]


def test_exports_hold_lists_and_folders_that_name_them(client, insects):
    tricky = send(client, picture((9, 9, 9)), "9.png", '["a+b", "c|d"]').json()["files"][0]["image_id"]
    table = client.get("/v1/datasets/insects/export", params={"format": "csv"}).text
    cells = {row["image_id"]: row["labels"] for row in csv.DictReader(io.StringIO(table))}
    assert cells[tricky] == '["a+b", "c|d"]'
    assert sorted(cells.values()) == ["", '["a+b", "c|d"]', "[]", "ant", "ant", "antlion|bee", "ant|bee"]
    zipped = client.get("/v1/datasets/insects/export", params={"format": "imagefolder"}).content
    folders = [
        name.rpartition("/")[0] for name in zipfile.ZipFile(io.BytesIO(zipped)).namelist() if name != "tsukiji.jsonl"
    ]
    assert sorted(folders) == ["", "+", "a%2Bb+c%7Cd", "ant", "ant", "ant+bee", "antlion+bee"]
    zipped = client.get("/v1/datasets/insects/export", params={"format": "huggingface"}).content
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        lines = [json.loads(line) for line in archive.read("train/metadata.jsonl").splitlines()]
    assert sorted(line["labels"] or [] for line in lines) == sorted([*(found or [] for found in SETS), ["a+b", "c|d"]])
    assert not any("label" in line for line in lines)


def test_feedback_takes_all_labels_and_refuses_them_where_there_is_one(client, services, model, insects, dataset):
    sent = client.post("/v1/batches", files=as_files(pictures(2, 77)), data={"model": model})
    work(services)
    place = f"/v1/jobs/{sent.json()['id']}/feedback"
    wrong = [{"seq": 0, "labels": ["bee", "ant"]}, {"seq": 1, "labels": []}]
    found = client.post(place, json={"corrections": wrong, "dataset": "insects"}).json()
    assert [(item["verdict"], item["labels"]) for item in found["items"]] == [
        ("accepted", ["ant", "bee"]),
        ("accepted", []),
    ]
    refused = client.post(place, json={"corrections": wrong, "dataset": "sushi"})
    assert (refused.status_code, refused.json()["code"]) == (422, "several_labels")


def test_a_training_is_refused_where_labels_have_too_few_images(client, insects):
    refused = client.post("/v1/trainings", json={"dataset": "insects"})
    assert (refused.status_code, refused.json()["code"]) == (422, "dataset_too_small")
    assert {row["label"] for row in refused.json()["labels"]} == {"ant", "bee", "antlion"}


def test_the_kind_is_one_of_two(client):
    assert client.post("/v1/datasets", json={"name": "x", "kind": "boxes"}).status_code == 422
    assert client.post("/v1/datasets", json={"name": "x"}).json()["kind"] == "single_label"
