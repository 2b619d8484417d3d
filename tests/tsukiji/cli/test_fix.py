"""`tsukiji datasets fix`, `log` and `images`."""

import json

import pytest

from devtools.scripted_service import NOW, Answer, dataset, page, problem
from tests.tsukiji.client.test_curation import REVISIONS, revision


@pytest.fixture
def asked(service, run):
    """Run `datasets fix pets` with options; returns what the service was asked for."""
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("POST", REVISIONS, Answer(revision(description="as asked"), 201))

    def asked(*options):
        result = run("datasets", "fix", "pets", *options)
        assert result.exit_code == 0, result.output
        return service.asked_for("POST", REVISIONS)[-1].json

    return asked


CASES = [
    (["--relabel", "dog", "--label", "cat"], {"act": "relabel", "label": "dog", "filter": {"label": "cat"}}),
    (["--relabel", "a", "--relabel", "b", "--all"], {"act": "relabel", "labels": ["a", "b"], "filter": {}}),
    (["--unlabel", "--none-of-these"], {"act": "relabel", "label": None, "filter": {"none_of_these": True}}),
    (["--relabel-none", "--unlabelled"], {"act": "relabel", "labels": [], "filter": {"unlabelled": True}}),
    (["--add-label", "a", "--image", "img_x"], {"act": "add_labels", "labels": ["a"], "images": ["img_x"]}),
    (
        ["--remove-label", "a", "--remove-label", "b", "--label", "a"],
        {"act": "remove_labels", "labels": ["a", "b"], "filter": {"label": "a"}},
    ),
    (
        ["--unlabel", "--image", "img_a", "--image", "img_b"],
        {"act": "relabel", "label": None, "images": ["img_a", "img_b"]},
    ),
    (["--exclude", "--all"], {"act": "exclude", "filter": {}}),
    (["--restore", "--excluded"], {"act": "restore", "filter": {"excluded": True}}),
    (
        ["--set-split", "test", "--split", "unassigned", "--not-excluded"],
        {"act": "split", "split": "test", "filter": {"split": "unassigned", "excluded": False}},
    ),
    (["--set-split", "none", "--unlabelled"], {"act": "split", "split": None, "filter": {"unlabelled": True}}),
    (["--crop", "1,2,30,40", "--image", "img_a"], {"act": "crop", "crop": [1, 2, 30, 40], "images": ["img_a"]}),
    (["--crop", "none", "--all"], {"act": "crop", "crop": None, "filter": {}}),
    (["--accept"], {"act": "review", "review": "accepted", "filter": {"review": "pending"}}),
    (
        ["--reject", "--label", "cat"],
        {"act": "review", "review": "rejected", "filter": {"label": "cat", "review": "pending"}},
    ),
    (["--reject", "--image", "img_a"], {"act": "review", "review": "rejected", "images": ["img_a"]}),
    (
        ["--merge", "cat", "--merge", "kitten", "--into", "Felis"],
        {"act": "merge_labels", "labels": ["cat", "kitten"], "into": "Felis"},
    ),
    (["--rename", "cat", "Felis"], {"act": "rename_label", "label": "cat", "to": "Felis"}),
    (["--delete-label", "cat"], {"act": "delete_label", "label": "cat"}),
]


@pytest.mark.parametrize(("options", "wanted"), CASES)
def test_each_act_by_its_option(asked, options, wanted):
    assert asked(*options) == wanted


def test_suspects_are_accepted_as_they_were_printed(asked, tmp_path):
    suspects = [
        {"rank": 1, "image_id": "a", "label": "cat", "suggested_label": "dog"},
        {"rank": 2, "image_id": None, "label": "cat", "suggested_label": "dog"},
        {"rank": 3, "image_id": "b", "label": None, "labels": ["a"], "suggested_label": None, "suggested_labels": []},
    ]
    (tmp_path / "suspects.jsonl").write_text("".join(json.dumps(line) + "\n\n" for line in suspects))
    found = asked("--accept-labels", tmp_path / "suspects.jsonl")
    assert found == {"act": "accept_labels", "labels": [{"image": "a", "label": "dog"}, {"image": "b", "labels": []}]}


def test_groups_keep_their_best(asked, tmp_path):
    (tmp_path / "groups.jsonl").write_text('{"keep": "a", "images": ["a", "b"]}\n')
    wanted = {"act": "keep_best", "groups": [{"keep": "a", "images": ["a", "b"]}]}
    assert asked("--keep-best", tmp_path / "groups.jsonl") == wanted


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "exactly one edit"),
        (["--exclude", "--restore", "--all"], "exactly one edit"),
        (["--exclude"], "choose images"),
        (["--exclude", "--all", "--image", "img_a"], "only one of --image"),
        (["--exclude", "--image", "img_a", "--label", "cat"], "only one of --image"),
        (["--undo", "rev_1", "--all"], "names its images"),
        (["--merge", "cat"], "require each other"),
        (["--crop", "1,2,3", "--all"], "not a box"),
    ],
)
def test_what_cannot_be_meant_asks_nothing(service, run, options, told):
    service.answer("GET", "/v1/datasets/pets", dataset())
    result = run("datasets", "fix", "pets", *options)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split())
    assert service.asked_for("POST", REVISIONS) == []


@pytest.mark.parametrize("line", ["{", "[1]", '{"image_id": "a"}'])
def test_a_line_that_is_none_is_named(service, run, tmp_path, line):
    service.answer("GET", "/v1/datasets/pets", dataset())
    (tmp_path / "x").write_text('{"image_id": "a", "label": "b"}\n' + line)
    result = run("datasets", "fix", "pets", "--accept-labels", tmp_path / "x")
    assert result.exit_code == 2
    assert "line 2" in " ".join(result.stderr.replace("│", " ").split())


def test_undo_and_what_stands_in_its_way(service, run):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("POST", f"{REVISIONS}/rev_1/undo", Answer(revision(id="rev_2", act="undo"), 201))
    result = run("datasets", "fix", "pets", "--undo", "rev_1")
    assert "rev_2" in result.stdout
    assert "--undo rev_2" in result.stderr
    headers = {"x-should-retry": "false"}
    refused = problem(409, "changed_since", "rev_9 has changed label of 3 images", headers=headers)
    service.answer("POST", f"{REVISIONS}/rev_1/undo", refused)
    result = run("datasets", "fix", "pets", "--undo", "rev_1")
    assert result.exit_code == 1
    assert "rev_9" in result.stderr


def test_log(service, run):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("GET", REVISIONS, page(revision(author="anna", undone_by="rev_2")))
    header, line = run("datasets", "log", "pets").stdout.splitlines()
    assert header.split("\t") == ["id", "when", "author", "what", "images", "undone by"]
    assert line.split("\t")[2:] == ["anna", "relabel", "3", "rev_2"]


def test_images_are_listed_by_filter(service, run):
    image = {"id": "img_1", "dataset_id": "dst_1", "name": "1.jpg", "label": "cat", "split": None, "sha256": "ab"}
    image |= {"width": 9, "height": 9, "bytes": 1, "format": "JPEG", "created_at": "2026-11-23T12:00:00Z"}
    service.answer("GET", "/v1/datasets/pets/images", page(image | {"crop": [0, 0, 5, 5], "review": "pending"}))
    service.answer("GET", "/v1/datasets/pets", dataset(classes=[{"label": "cat", "images": 1}]))
    _, line = run("datasets", "images", "pets", "--review", "pending", "--label", "cat").stdout.splitlines()
    assert line.split("\t") == ["img_1", "1.jpg", "cat", "-", "False", "0, 0, 5, 5", "pending"]
    assert service.asked[-1].query == {"review": ["pending"], "label": ["cat"]}


@pytest.mark.parametrize("words", [["images", "pets"], ["check", "pets", "--last"]])
def test_a_label_that_there_is_not_is_no_empty_list(service, run, words):
    service.answer("GET", "/v1/datasets/pets", dataset(classes=[{"label": "Cat", "images": 1}]))
    result = run("datasets", *words, "--label", "kat")
    assert result.exit_code == 2
    assert "no label 'kat'. Did you mean 'Cat'?" in result.stderr


def test_an_act_that_changed_nothing_says_so(service, run):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("POST", REVISIONS, Answer(revision(images=0), 201))
    told = run("datasets", "fix", "pets", "--split", "test", "--exclude").stderr
    assert "Nothing was changed: no image matches" in told
    assert "--undo" not in told


def image(image_id, name):
    known = {"object": "image", "dataset_id": "dst_1", "label": "cat", "split": None, "sha256": "0", "width": 9}
    return known | {"id": image_id, "name": name, "height": 9, "bytes": 9, "format": "jpeg", "created_at": NOW}


def test_images_are_named_by_their_files(asked, service):
    service.answer("GET", "/v1/datasets/dst_1/images", page(image("img_1", "cat/1.jpg"), image("img_2", "cat/2.jpg")))
    found = asked("--relabel", "dog", "--image", "cat/2.jpg", "--image", "img_9")
    assert found == {"act": "relabel", "label": "dog", "images": ["img_2", "img_9"]}


@pytest.mark.parametrize(
    ("names", "told"),
    [(["other.jpg"], "no image in pets is named cat.jpg"), (["cat.jpg", "cat.jpg"], "2 images are named cat.jpg")],
)
def test_a_name_that_is_not_one_image_changes_nothing(service, run, names, told):
    service.answer("GET", "/v1/datasets/pets", dataset())
    rows = [image(f"img_{number}", name) for number, name in enumerate(names)]
    service.answer("GET", "/v1/datasets/dst_1/images", page(*rows))
    result = run("datasets", "fix", "pets", "--image", "cat.jpg", "--exclude")
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", "").split())
    assert not service.asked_for("POST", REVISIONS)
