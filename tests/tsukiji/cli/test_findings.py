import json

import pytest

from devtools.scripted_service import Answer, dataset, job, page
from tests.tsukiji.client.test_analyses import ANALYSIS, FOUND

PLACE = "/v1/datasets/dst_1"
FINDING = FOUND | {"width": 400, "height": 300, "bytes": 9000}
MISSING = {
    "findings": ["outlier"],
    "code": "weights_unavailable",
    "title": "no weights",
    "detail": "none",
    "hint": "fetch",
}


@pytest.fixture
def analysed(service):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("POST", f"{PLACE}/analyses", Answer(job("succeeded", "ana_1", "analysis"), 202))
    rare = {"label": "eel", "images": 1, "share": 0.01, "rare": True}
    service.answer("GET", f"{PLACE}/analysis", ANALYSIS | {"balance": [rare], "unavailable": [MISSING]})
    return service


def test_check_counts_what_was_found(analysed, run):
    result = run("datasets", "check", "pets")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "blurry\t1" in lines
    assert "eel\t1\t0.010" in lines
    assert "skipped: outlier. no weights: none" in result.stderr


def test_what_most_images_have_is_said_and_not_counted_as_found(analysed, run):
    prevalent = {"blurry": 1795, "grayscale": 1797, "near_duplicates": 300}
    findings = {"blurry": 12, "near_duplicates": 300}
    analysed.answer(
        "GET", f"{PLACE}/analysis", ANALYSIS | {"images": 1797, "findings": findings, "prevalent": prevalent}
    )
    result = run("datasets", "check", "pets", "--last")
    assert {"blurry\t12", "grayscale\t0", "near_duplicates\t300"} <= set(result.stdout.splitlines())
    said = " ".join(result.stderr.split())
    assert "blurry: 1,795 of 1,797 images, so it is usual here; the 12 outliers are listed" in said
    assert "grayscale: 1,797 of 1,797 images, so it is usual here; there are no outliers" in said


def test_check_lists_one_kind(analysed, run):
    named = FINDING | {
        "suggestion": {"labels": {"cat": 1, "dog": 2}, "names": [{"name": "b.jpg"}], "crop": [1, 2, 3, 4]}
    }
    analysed.answer("GET", f"{PLACE}/findings", page(named))
    header, row = run("datasets", "check", "pets", "--kind", "blurry", "--last").stdout.splitlines()
    assert header.split("\t") == ["kind", "image", "name", "label", "score", "suggestion"]
    assert row.split("\t")[:3] == ["blurry", "img_1", "a.jpg"]
    assert row.endswith("labels cat 1 dog 2, names b.jpg, crop 1 2 3 4")
    assert analysed.asked_for("POST", f"{PLACE}/analyses") == []


def test_check_as_json_is_the_analysis(analysed, run):
    assert json.loads(run("datasets", "check", "pets", "--json").stdout)["findings"] == {"blurry": 1}


def test_without_an_analysis_there_is_no_last(service, run):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("GET", f"{PLACE}/analysis", Answer({"code": "not_found", "title": "none"}, 404))
    result = run("datasets", "check", "pets", "--last")
    assert result.exit_code == 2
    assert "has not been analysed yet" in result.stderr


def test_dedupe_shows_groups_and_which_to_keep(analysed, run):
    member = FINDING | {"kind": "near_duplicates", "group": "img_1", "suggestion": {"keep": "img_2"}}
    other = member | {"image_id": "img_2", "name": "b.jpg"}
    last = FINDING | {"image_id": "img_3", "group": "img_3", "suggestion": {"keep": "img_3"}}
    analysed.answer("GET", f"{PLACE}/findings", page(member, other, last))
    rows = [line.split("\t") for line in run("datasets", "dedupe", "pets").stdout.splitlines()]
    assert [row[:3] for row in rows[1:]] == [
        ["img_1", "-", "img_1"],
        ["img_1", "keep", "img_2"],
        ["img_3", "keep", "img_3"],
    ]
    groups = [json.loads(line) for line in run("datasets", "dedupe", "pets", "--json").stdout.splitlines()]
    assert [(group["keep"], len(group["images"])) for group in groups] == [("img_2", 2), ("img_3", 1)]
