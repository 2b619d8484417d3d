"""What one command prints with `--json` the next one takes."""

import json

import pytest

from devtools.scripted_service import Answer, dataset, model, page
from tests.tsukiji.cli.test_findings import FINDING, PLACE
from tests.tsukiji.client.test_analyses import ANALYSIS
from tests.tsukiji.client.test_curation import REVISIONS, revision
from tsukiji import types
from tsukiji.ingest import manifests

MEMBER = FINDING | {"kind": "near_duplicates", "group": "img_1", "suggestion": {"keep": "img_2"}}
GROUPS = (MEMBER, MEMBER | {"image_id": "img_2"}, MEMBER | {"image_id": "img_3", "group": "img_3"})
SUSPECT = {
    "rank": 1,
    "sha256": "0" * 64,
    "split": "valid",
    "image_id": "img_1",
    "name": "a.jpg",
    "label": "cat",
    "suggested_label": "dog",
    "score": 0.1,
}
IMAGE = {"id": "img_1", "name": "a.jpg", "label": "dog", "split": None, "sha256": "0" * 64, "width": 4, "height": 3}
IMAGE |= {"bytes": 9, "format": "JPEG", "created_at": "2026-01-01T00:00:00Z", "dataset_id": "dst_1"}


@pytest.fixture
def served(service):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("GET", f"{PLACE}/analysis", ANALYSIS)
    service.answer("POST", REVISIONS, Answer(revision(), 201))
    return service


@pytest.fixture
def piped(served, run, tmp_path):
    """Run a command, pipe its output to `datasets fix pets OPTION`, and return the request sent."""

    def piped(command, option):
        printed = run(*command)
        assert printed.exit_code == 0, printed.output
        (tmp_path / "printed.jsonl").write_text(printed.stdout)
        result = run("datasets", "fix", "pets", option, tmp_path / "printed.jsonl")
        assert result.exit_code == 0, result.output
        return served.asked_for("POST", REVISIONS)[-1].json

    return piped


KEPT = [{"keep": "img_2", "images": ["img_1", "img_2"]}, {"keep": "img_2", "images": ["img_3"]}]


@pytest.mark.parametrize("command", [["dedupe", "pets"], ["check", "pets", "--kind", "near_duplicates"]])
def test_groups_of_copies_go_into_keep_best(served, piped, command):
    served.answer("GET", f"{PLACE}/findings", page(*GROUPS))
    asked = piped(["datasets", *command, "--last", "--json"], "--keep-best")
    assert asked == {"act": "keep_best", "groups": KEPT}


@pytest.mark.parametrize(
    ("suggestion", "wanted"), [({"label": "dog"}, "label"), ({"labels": ["dog", "eel"]}, "labels")]
)
def test_suspected_labels_of_an_analysis_go_into_accept_labels(served, piped, suggestion, wanted):
    served.answer("GET", f"{PLACE}/findings", page(FINDING | {"kind": "suspected_label", "suggestion": suggestion}))
    asked = piped(["datasets", "check", "pets", "--kind", "suspected_label", "--last", "--json"], "--accept-labels")
    assert asked == {"act": "accept_labels", "labels": [{"image": "img_1", wanted: suggestion[wanted]}]}


def test_what_to_label_next_goes_into_accept_labels(served, piped):
    guess = FINDING | {"kind": "label_next", "label": None, "suggestion": {"label": "dog", "margin": 0.1}}
    unknown = guess | {"image_id": "img_2", "suggestion": {"label": None, "margin": 0.0}}
    served.answer("GET", f"{PLACE}/findings", page(guess, unknown))
    asked = piped(["datasets", "check", "pets", "--kind", "label_next", "--last", "--json"], "--accept-labels")
    assert asked == {"act": "accept_labels", "labels": [{"image": "img_1", "label": "dog"}]}


def test_suspects_of_a_model_go_into_accept_labels(served, piped):
    served.answer("GET", "/v1/models/pets", model())
    served.answer("GET", "/v1/models/mdl_1/suspects", page(SUSPECT))
    asked = piped(["models", "suspects", "pets", "--json"], "--accept-labels")
    assert asked == {"act": "accept_labels", "labels": [{"image": "img_1", "label": "dog"}]}


def test_listed_images_go_into_accept_labels(served, piped):
    served.answer("GET", "/v1/datasets/pets/images", page(IMAGE))
    asked = piped(["datasets", "images", "pets", "--json"], "--accept-labels")
    assert asked == {"act": "accept_labels", "labels": [{"image": "img_1", "label": "dog"}]}


@pytest.mark.parametrize(
    ("kind", "listed"),
    [(types.Image, IMAGE), (types.Finding, FINDING), (types.LabelSuspect, SUSPECT)],
    ids=["images", "findings", "suspects"],
)
def test_listed_images_are_a_manifest(kind, listed):
    printed = kind.model_validate(listed).model_dump_json().encode() + b"\n"
    (line,) = manifests.read_lines([printed])
    assert (line.error, line.request.image) == (None, "img_1")


@pytest.mark.parametrize(
    ("option", "line"), [("--keep-best", {"keep": "a"}), ("--keep-best", {"keep": "a", "images": [1]})]
)
def test_a_line_that_is_no_group_is_named(served, run, tmp_path, option, line):
    (tmp_path / "x").write_text(json.dumps(line))
    result = run("datasets", "fix", "pets", option, tmp_path / "x")
    assert result.exit_code == 2
    assert "line 1" in " ".join(result.stderr.replace("│", " ").split())
