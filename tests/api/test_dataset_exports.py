"""Data sets and snapshots as files: every picture once, by names that file systems take and our import reads back."""

import csv
import io
import json
import zipfile

import pytest

from api.serialize.dataset_exports import class_folder_zip, items_of_dataset
from api.serialize.export_layout import ExportItem, Layout, class_folders
from tests.api.conftest import as_files, picture, pictures
from tsukiji.ingest.importers import lay_out
from tsukiji.names import path_safe
from tsukiji.types import ImportOptions


@pytest.fixture
def mixed(client):
    """Labels that no folder can have, repeated names, splits, a crop, and one unlabelled image."""
    client.post("/v1/datasets", json={"name": "mixed"})

    def send(blob, name, **data):
        answer = client.post("/v1/datasets/mixed/images", files=[("files", (name, blob, "image/png"))], data=data)
        assert answer.json()["accepted"] == 1, answer.text
        return answer.json()["files"][0]["image_id"]

    blobs = pictures(6, 50)
    made = [
        send(blobs[0], "1.png", label="cat", split="train"),
        send(blobs[1], "1.PNG", label="cat", split="train"),
        send(blobs[2], "photo", label="a/b:c", split="valid", group="boat"),
        send(blobs[3], "3.png", label="..", split="test"),
        send(blobs[4], "4.png"),
        send(blobs[5], "5.png", label="ねこ"),
    ]
    client.post(
        "/v1/datasets/mixed/revisions", json={"act": "crop", "crop": [1, 2, 20, 18], "images": [made[2]]}
    ).raise_for_status()
    return dict(zip(made, blobs, strict=True))


def fetch(client, wanted, place="/v1/datasets/mixed/export"):
    answer = client.get(place, params={"format": wanted})
    assert answer.status_code == 200, answer.text
    return answer


def unzip(answer):
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_class_folders(client, mixed):
    answer = fetch(client, "imagefolder")
    assert "mixed.zip" in answer.headers["content-disposition"]
    files = unzip(answer)
    table = [json.loads(line) for line in files.pop("tsukiji.jsonl").splitlines()]
    assert sorted(files.values()) == sorted(mixed.values()), "byte for byte, the crop included"
    assert {record["file_name"]: mixed[record["image_id"]] for record in table} == files
    cropped = table[2]
    assert (cropped["label"], cropped["split"], cropped["group"]) == ("a/b:c", "valid", "boat")
    assert cropped["crop"] == [1, 2, 20, 18]
    names = sorted(name for name in files if not name.lower().startswith("train/cat/1"))
    assert names == ["4.png", "test/%2E%2E/3.png", "valid/a%2Fb%3Ac/photo.png", "ねこ/5.png"]
    assert len({name.casefold() for name in files}) == 6
    read_back = lay_out(files, [], ImportOptions())
    assert (read_back.place("train/cat/1.png").label, read_back.place("train/cat/1.png").split) == ("cat", "train")
    assert (read_back.place("4.png").label, read_back.place("ねこ/5.png").label) == (None, "ねこ")


def test_hugging_face(client, mixed):
    files = unzip(fetch(client, "huggingface"))
    lines = {}
    for folder in ("train", "validation", "test"):
        for line in files[f"{folder}/metadata.jsonl"].decode().splitlines():
            record = json.loads(line)
            lines[record["image_id"]] = record
            assert files[f"{folder}/{record['file_name']}"] == mixed[record["image_id"]]
    assert [record["label"] for record in lines.values()] == ["cat", "cat", None, "ねこ", "a/b:c", ".."]
    (cropped,) = (record for record in lines.values() if record["crop"])
    assert (cropped["crop"], cropped["group"]) == ([1, 2, 20, 18], "boat")
    assert len(files) == 6 + 3


def test_tables(client, mixed):
    rows = list(csv.DictReader(io.StringIO(fetch(client, "csv").text)))
    assert [row["label"] for row in rows] == ["cat", "cat", "a/b:c", "..", "", "ねこ"]
    assert [rows[2][f"crop_{edge}"] for edge in ("left", "upper", "right", "lower")] == ["1", "2", "20", "18"]
    records = [json.loads(line) for line in fetch(client, "jsonl").text.splitlines()]
    assert [record["image_id"] for record in records] == list(mixed)
    assert records[2]["crop"] == [1, 2, 20, 18]


def test_what_is_left_out_is_not_exported_and_a_snapshot_stands(client, mixed):
    frozen = client.post("/v1/datasets/mixed/snapshots").json()
    first, *_ = mixed
    client.post("/v1/datasets/mixed/revisions", json={"act": "exclude", "images": [first]}).raise_for_status()
    assert first not in fetch(client, "jsonl").text
    assert len(unzip(fetch(client, "imagefolder"))) == 5 + 1
    place = frozen["links"]["export"]
    assert first in fetch(client, "jsonl", place).text
    assert len(unzip(fetch(client, "imagefolder", place))) == 5 + 1, "what has no label is in no snapshot"


def test_what_cannot_be_exported(client, mixed):
    assert client.get("/v1/datasets/nobody/export").status_code == 404
    assert client.get("/v1/snapshots/snp_nobody/export").status_code == 404
    assert client.get("/v1/datasets/mixed/export", params={"format": "rar"}).status_code == 422


def test_an_empty_data_set_is_an_empty_zip(client):
    client.post("/v1/datasets", json={"name": "mixed"})
    assert unzip(fetch(client, "imagefolder")) == {}
    assert unzip(fetch(client, "huggingface")) == {}


def test_memory_holds_a_piece_and_not_the_pictures(client, services):
    client.post("/v1/datasets", json={"name": "big"})
    blobs = [picture((number, 0, 0), (200, 200), "BMP") for number in range(12)]
    client.post("/v1/datasets/big/images", files=as_files(blobs), data={"label": "a"}).raise_for_status()
    dataset_id = client.get("/v1/datasets/big").json()["id"]
    pieces = [
        len(piece) for piece in class_folder_zip(services, items_of_dataset(services, dataset_id), "single_label")
    ]
    assert sum(pieces) > 12 * len(blobs[0])
    assert max(pieces) < 2 * len(blobs[0])


def test_different_labels_have_different_folders():
    labels = ["a/b", "a%2Fb", "a\\b", ".", "..", "...", "%2E", "a.", "a", "a ", "con\x00", "train"]
    assert len({path_safe(label) for label in labels}) == len(labels)
    for label in labels:
        folder = path_safe(label)
        assert "/" not in folder
        assert "\\" not in folder
        assert folder not in {".", ".."}
        assert not folder.startswith(".")


def test_a_name_is_given_once_whatever_its_case():
    layout = Layout()
    items = [
        ExportItem("img", f"{number:064x}"[::-1], name, "cat", None, None, None)
        for number, name in enumerate(["../a.jpg", "x/a.jpg", "A.JPG", "c:\\a.jpg", ".jpg", ""])
    ]
    paths = [layout.place(class_folders(item), item, "JPEG") for item in items]
    assert paths[0] == "cat/a.jpg"
    assert len({path.casefold() for path in paths}) == len(paths)
    assert all(path.startswith("cat/") and path.lower().endswith(".jpg") and ".." not in path for path in paths)
