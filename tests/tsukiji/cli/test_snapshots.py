"""`tsukiji datasets snapshot`, `snapshots`, `diff`, `export`; `tsukiji results correct`."""

import json

import pytest

from devtools.scripted_service import Answer, dataset, job, page
from tests.tsukiji.client.test_curation import snapshot

COUNTS = {"added": 1, "removed": 0, "relabelled": 1, "resplit": 1, "recropped": 0, "unchanged": 7}
ROWS = [
    {"image_id": "a", "name": "1.jpg", "sha256": "ab", "changes": ["added"], "label_b": "cat"},
    {
        "image_id": "b",
        "name": "2.jpg",
        "sha256": "cd",
        "changes": ["relabelled", "resplit"],
        "label_a": "cat",
        "label_b": "dog",
        "split_b": "test",
    },
]


@pytest.fixture
def pets(service):
    service.answer("GET", "/v1/datasets/pets", dataset())


def test_take_and_list(service, run, pets):
    service.answer("POST", "/v1/datasets/dst_1/snapshots", Answer(snapshot(), 201))
    service.answer("GET", "/v1/datasets/dst_1/snapshots", page(snapshot(), snapshot(id="snp_0")))
    assert "id\tsnp_1" in run("datasets", "snapshot", "pets").stdout
    assert len(run("datasets", "snapshots", "pets", "--json").stdout.splitlines()) == 2


def test_diff(service, run):
    found = {"a": "snp_0", "b": "snp_1", "equal": False, **COUNTS}
    service.answer("GET", "/v1/snapshots/compare", page(*ROWS) | found)
    shown = run("datasets", "diff", "snp_0", "snp_1").stdout.splitlines()
    assert shown[:3] == ["added\t1", "removed\t0", "relabelled\t1"]
    assert shown[-1] == "2.jpg\trelabelled, resplit\tcat -> dog\t- -> test"
    assert json.loads(run("datasets", "diff", "snp_0", "snp_1", "--json").stdout)["unchanged"] == 7
    run("datasets", "diff", "snp_0", "snp_1", "--only", "resplit")
    assert service.asked[-1].query["change"] == ["resplit"]


def test_export_a_data_set_or_a_snapshot(service, run, pets, tmp_path):
    service.answer("GET", "/v1/datasets/dst_1/export", b"zipped")
    service.answer("GET", "/v1/snapshots/snp_1", snapshot())
    service.answer("GET", "/v1/snapshots/snp_1/export", b"lines")
    told = json.loads(run("datasets", "export", "pets", "-o", tmp_path / "pets.zip", "--json").stdout)
    assert (told["bytes"], (tmp_path / "pets.zip").read_bytes()) == (6, b"zipped")
    run("datasets", "export", "pets", "-o", tmp_path / "hf.zip", "--format", "huggingface")
    assert service.asked[-1].query == {"format": ["huggingface"]}
    run("datasets", "export", "snp_1", "-o", tmp_path / "pets.jsonl")
    assert (tmp_path / "pets.jsonl").read_bytes() == b"lines"
    assert run("datasets", "export", "pets", "-o", tmp_path / "pets.rar").exit_code == 2


def test_correct(service, run):
    service.answer("GET", "/v1/batches/bat_1", job("succeeded", "bat_1", "batch"))
    item = {"seq": 0, "custom_id": "a.png", "verdict": "accepted", "label": "dog", "image_id": "img_1"}
    told = {"dataset_id": "dst_1", "accepted": 1, "duplicates": 0, "rejected": 0, "items": [item]}
    service.answer("POST", "/v1/jobs/bat_1/feedback", Answer(told, 201))
    assert "img_1" in run("results", "correct", "bat_1", "a.png", "dog").stdout
    assert service.asked[-1].json == {"corrections": [{"custom_id": "a.png", "label": "dog"}]}
    item |= {"verdict": "duplicate"}
    service.answer("POST", "/v1/jobs/bat_1/feedback", told)
    same = run("results", "correct", "bat_1", "a.png", "dog")
    assert (same.exit_code, "Nothing was changed" in same.stderr) == (0, True)
    other = run("results", "correct", "bat_1", "a.png", "big cat")
    assert other.exit_code == 8
    assert "with another label (dog)" in other.stderr
    assert "`tsukiji datasets fix dst_1 --image img_1 --relabel 'big cat'`" in other.stderr
    item |= {"verdict": "rejected", "image_id": None, "error": {"code": "not_an_image", "title": "no picture"}}
    service.answer("POST", "/v1/jobs/bat_1/feedback", told)
    result = run("results", "correct", "bat_1", "a.png", "dog")
    assert result.exit_code == 8
    assert "not_an_image" in result.stderr
