"""Data sets and their images over HTTP."""

import hashlib
import io
from urllib.parse import quote

import pytest
from PIL import Image as Picture
from sqlalchemy import update

from db.models import Image
from tests.api.conftest import as_files, limited, picture, pictures
from tsukiji.vision.decoding.decode import thumbnail


def test_dataset_from_birth_to_death(client):
    made = client.post("/v1/datasets", json={"name": "sushi", "description": "raw"})
    assert made.status_code == 201
    assert made.headers["location"] == f"/v1/datasets/{made.json()['id']}"
    assert made.json()["images"] == 0
    assert client.get("/v1/datasets/sushi").json()["id"] == made.json()["id"]
    assert [row["name"] for row in client.get("/v1/datasets").json()["data"]] == ["sushi"]
    assert client.delete("/v1/datasets/sushi").status_code == 204
    assert client.get("/v1/datasets/sushi").status_code == 404


def test_name_that_is_taken_conflicts_for_good(client, dataset):
    answer = client.post("/v1/datasets", json={"name": "sushi"})
    assert answer.status_code == 409
    assert answer.json()["code"] == "conflict"
    assert answer.headers["x-should-retry"] == "false"


def test_counts_per_label_and_split(client, dataset):
    client.post(f"/v1/datasets/{dataset}/images", files=as_files([picture((1, 2, 3))]), data={"split": "test"})
    found = client.get(f"/v1/datasets/{dataset}").json()
    assert found["images"] == 9
    assert found["classes"] == [
        {"label": "eel", "images": 4},
        {"label": "tuna", "images": 4},
        {"label": None, "images": 1},
    ]
    assert found["splits"] == {"test": 1, "unassigned": 8}


def test_every_file_gets_a_verdict(client, dataset):
    good, cut = picture((9, 9, 9)), picture((8, 8, 8), (60, 60))[:-40]
    files = as_files([good, good, cut, b"no picture"])
    answer = client.post(f"/v1/datasets/{dataset}/images", files=files, data={"labels": ["a", "b", "c", "d"]})
    assert answer.status_code == 201
    result = answer.json()
    assert (result["accepted"], result["duplicates"], result["rejected"]) == (1, 1, 2)
    verdicts = [(file["name"], file["verdict"], (file["error"] or {}).get("code")) for file in result["files"]]
    assert verdicts == [
        ("0.png", "accepted", None),
        ("1.png", "duplicate", None),
        ("2.png", "rejected", "truncated"),
        ("3.png", "rejected", "not_an_image"),
    ]
    assert result["files"][0]["image_id"] == result["files"][1]["image_id"]


def test_sending_again_is_harmless(client, dataset):
    answer = client.post(f"/v1/datasets/{dataset}/images", files=as_files(pictures(4)), data={"label": "eel"})
    assert answer.status_code == 200
    assert answer.json()["duplicates"] == 4


def test_file_over_the_limit_is_one_rejection(client, dataset):
    answer = client.post(f"/v1/datasets/{dataset}/images", files=as_files([b"\x89PNG" + bytes(200_001), picture()]))
    assert [file["verdict"] for file in answer.json()["files"]] == ["rejected", "accepted"]
    assert answer.json()["files"][0]["error"]["code"] == "too_many_bytes"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"labels": ["a"]}, "#/labels"),
        ({"labels": ["a", "b" * 201]}, "#/labels/1"),
        ({"labels": ["a", "b\x07"]}, "#/labels/1"),
        ({"label": "a", "labels": ["a", "b"]}, "#/label"),
        ({"split": "holdout"}, "#/split"),
        ({"lable": "a"}, "#/lable"),
    ],
)
def test_wrong_fields_are_pointed_at(client, dataset, fields, pointer):
    answer = client.post(f"/v1/datasets/{dataset}/images", files=as_files(pictures(2, 77)), data=fields)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert client.get(f"/v1/datasets/{dataset}").json()["images"] == 8


def test_labels_are_trimmed_and_empty_means_none(client, dataset):
    files = as_files(pictures(2, 77))
    client.post(f"/v1/datasets/{dataset}/images", files=files, data={"labels": [" octopus ", ""]})
    page = client.get(f"/v1/datasets/{dataset}/images", params={"label": "octopus"}).json()
    assert len(page["data"]) == 1
    assert len(client.get(f"/v1/datasets/{dataset}/images", params={"unlabelled": True}).json()["data"]) == 1


def test_labels_that_look_alike_are_told(client, dataset):
    place, data = f"/v1/datasets/{dataset}/images", {"label": "Tuna\u200b"}
    answer = client.post(place, files=as_files(pictures(1, 77)), data=data).json()
    assert answer["files"][0]["label"] == "Tuna"
    assert [warning["code"] for warning in answer["warnings"]] == ["labels_alike"]
    assert "'Tuna', 'tuna'" in answer["warnings"][0]["detail"]
    assert client.post(place, files=as_files(pictures(1, 78)), data={"label": "eel"}).json()["warnings"] == []


def test_labels_that_were_kept_untrimmed_are_found_and_merged(client, services, dataset):
    """Data sets of before may hold such."""
    with services.database.transaction() as session:
        session.execute(update(Image).where(Image.label == "eel").values(label="tuna "))
    place = f"/v1/datasets/{dataset}"
    assert len(client.get(f"{place}/images", params={"label": "tuna "}).json()["data"]) == 4
    act = {"act": "merge_labels", "labels": ["tuna ", "tuna"], "into": " tuna"}
    assert client.post(f"{place}/revisions", json=act).json()["images"] == 4
    assert client.get(place).json()["classes"] == [{"label": "tuna", "images": 8}]


def test_too_many_labels_are_refused(client, services, dataset):
    services.settings = limited(services.settings, dataset_classes=2)
    answer = client.post(f"/v1/datasets/{dataset}/images", files=as_files(pictures(1, 77)), data={"label": "third"})
    assert answer.status_code == 422
    assert "at most 2" in answer.json()["detail"]
    again = client.post(f"/v1/datasets/{dataset}/images", files=as_files(pictures(1, 77)), data={"label": "eel"})
    assert again.status_code == 201


def test_images_upload_to_nowhere(client):
    assert client.post("/v1/datasets/nope/images", files=as_files(pictures(1))).status_code == 404


def test_check_tells_what_is_known(client, dataset):
    known, unknown = hashlib.sha256(pictures(1)[0]).hexdigest(), "0" * 64
    answer = client.post(f"/v1/datasets/{dataset}/images/check", json={"sha256": [known, unknown]})
    assert answer.json() == {"known": [known]}
    wrong = client.post(f"/v1/datasets/{dataset}/images/check", json={"sha256": ["XYZ"]})
    assert wrong.json()["errors"][0]["pointer"] == "#/sha256/0"


def test_an_unlabelled_picture_takes_the_label_with_which_it_comes_again(client):
    blobs = pictures(3)
    client.post("/v1/datasets", json={"name": "later"})

    def send(**data):
        return client.post("/v1/datasets/later/images", files=as_files(blobs), data=data).json()["files"]

    def kept():
        return [client.get(f"/v1/images/{image}").json()["label"] for image in images]

    images = [file["image_id"] for file in send(split="train")]
    hashes = [hashlib.sha256(blob).hexdigest() for blob in blobs]
    known = client.post("/v1/datasets/later/images/check", json={"sha256": hashes}).json()
    assert known["labels"] == dict.fromkeys(hashes), "worth sending again, with labels"
    assert {file["verdict"] for file in send(labels=["cat", "", "dog"])} == {"duplicate"}
    assert kept() == ["cat", None, "dog"]
    send(label="owl")
    assert kept() == ["cat", "owl", "dog"], "a label that is there stays"
    (revision,) = client.get("/v1/datasets/later/revisions").json()["data"]
    assert revision["images"] == 3
    assert client.post(f"/v1/datasets/later/revisions/{revision['id']}/undo").status_code == 201
    send(label="owl")
    assert kept() == [None] * 3, "what people took away stays away"


def test_pages_join_without_gaps(client, dataset):
    first = client.get(f"/v1/datasets/{dataset}/images", params={"limit": 3, "label": "eel"})
    assert first.json()["has_more"]
    assert 'rel="next"' in first.headers["link"]
    follow = first.headers["link"].split(">")[0].removeprefix("<")
    second = client.get(follow).json()
    assert second["next_cursor"] is None
    ids = [image["id"] for image in first.json()["data"] + second["data"]]
    assert len(set(ids)) == 4


def test_the_next_page_of_a_data_set_with_a_name_of_its_own(client):
    """Its address is in a header, which is limited to ASCII."""
    name = "寿司 ?#&"
    client.post("/v1/datasets", json={"name": name})
    place = f"/v1/datasets/{quote(name, safe='')}/images"
    client.post(place, files=as_files(pictures(3)))
    first = client.get(place, params={"limit": 2})
    rest = client.get(first.headers["link"].split(">")[0].removeprefix("<"))
    assert [len(page.json()["data"]) for page in (first, rest)] == [2, 1]


def test_cursor_is_bound_to_its_list(client, dataset):
    place = f"/v1/datasets/{dataset}/images"
    cursor = client.get(place, params={"limit": 1, "label": "eel"}).json()["next_cursor"]
    for misuse in (
        client.get(place, params={"cursor": cursor, "label": "tuna"}),
        client.get("/v1/datasets", params={"cursor": cursor}),
        client.get(place, params={"cursor": "bm9uc2Vuc2U="}),
        client.get(place, params={"cursor": "NQ=="}),
        client.get(place, params={"limit": 0}),
    ):
        assert misuse.status_code == 422
        assert misuse.headers["content-type"] == "application/problem+json"
    assert client.get(place, params={"limit": 5000}).status_code == 200


def test_content_is_cached_for_good(client, dataset):
    image = client.get(f"/v1/datasets/{dataset}/images").json()["data"][0]
    original = client.get(image["links"]["original"])
    assert hashlib.sha256(original.content).hexdigest() == image["sha256"]
    assert original.headers["etag"] == f'"{image["sha256"]}"'
    assert original.headers["content-disposition"].startswith("attachment")
    assert original.headers["content-type"] == "image/png"
    assert "immutable" in original.headers["cache-control"]
    again = client.get(image["links"]["original"], headers={"If-None-Match": original.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_thumb_is_a_small_webp(client, dataset):
    big = picture((5, 5, 5), (800, 400))
    client.post(f"/v1/datasets/{dataset}/images", files=as_files([big]), data={"label": "big"})
    image = client.get(f"/v1/datasets/{dataset}/images", params={"label": "big"}).json()["data"][0]
    thumb = client.get(image["links"]["thumb"])
    assert thumb.headers["content-disposition"] == "inline"
    with Picture.open(io.BytesIO(thumb.content)) as small:
        assert (small.format, small.size) == ("WEBP", (192, 96))


def test_image_can_be_deleted(client, dataset):
    image = client.get(f"/v1/datasets/{dataset}/images").json()["data"][0]["id"]
    assert client.get(f"/v1/images/{image}").json()["label"] == "eel"
    assert client.delete(f"/v1/images/{image}").status_code == 204
    assert client.get(f"/v1/images/{image}").status_code == 404


# --- crops -----------------------------------------------------------------------------------------------------------


def test_pictures_are_sent_with_their_crops(client):
    client.post("/v1/datasets", json={"name": "cropped"})
    data = {"label": "eel", "crops": ["[1, 2, 20, 18]", "", "[0, 0, 25, 20]"]}
    answer = client.post("/v1/datasets/cropped/images", files=as_files(pictures(3)), data=data).json()
    assert [file["verdict"] for file in answer["files"]] == ["accepted", "accepted", "rejected"]
    assert answer["files"][2]["error"]["code"] == "crop_outside"
    images = client.get("/v1/datasets/cropped/images").json()["data"]
    assert {image["name"]: image["crop"] for image in images} == {"0.png": [1, 2, 20, 18], "1.png": None}


@pytest.mark.parametrize(
    ("crops", "pointer"),
    [(["[1, 2, 3]"], "#/crops/0"), (["[5, 5, 5, 9]"], "#/crops/0"), (["x"], "#/crops/0"), (["", ""], "#/crops")],
)
def test_crops_that_are_none(client, crops, pointer):
    client.post("/v1/datasets", json={"name": "cropped"})
    answer = client.post("/v1/datasets/cropped/images", files=as_files(pictures(1)), data={"crops": crops})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_a_thumbnail_is_drawn_once_and_never_shown_of_a_picture_that_is_deleted(client, dataset, monkeypatch):
    drawn = []

    def draw(*asked):
        drawn.append(asked)
        return thumbnail(*asked)

    monkeypatch.setattr("api.routes.images.thumbnail", draw)
    image = client.get(f"/v1/datasets/{dataset}/images").json()["data"][0]
    first, second = (client.get(image["links"]["thumb"]) for _ in range(2))
    assert first.content == second.content
    assert second.headers["content-type"] == "image/webp"
    assert len(drawn) == 1
    client.delete(image["links"]["self"])
    assert client.get(image["links"]["thumb"]).status_code == 404


def test_what_folders_mean_is_told_before_anything_is_sent(client, dataset):
    asked = {"folders": ["train/cat", "train/dog", "valid/cat", ""]}
    found = client.post(f"/v1/datasets/{dataset}/images/folders", json=asked).json()
    told = [(each["folder"], each["label"], each["split"]) for each in found["folders"]]
    assert told == [
        ("train/cat", "cat", "train"),
        ("train/dog", "dog", "train"),
        ("valid/cat", "cat", "valid"),
        ("", None, None),
    ]
    assert found["warnings"] == []
    doubtful = client.post(f"/v1/datasets/{dataset}/images/folders", json={"folders": ["train", "car"]}).json()
    assert [each["label"] for each in doubtful["folders"]] == ["train", "car"]
    assert doubtful["warnings"][0]["code"] == "split_read_as_label"
