"""Searches for similar images."""

from devtools.scripted_service import NOW, dataset, job

IMAGE = {
    "id": "img_2",
    "dataset_id": "dst_1",
    "name": "cat.jpg",
    "label": "cat",
    "split": None,
    "group": None,
    "sha256": "0" * 64,
    "width": 4,
    "height": 3,
    "bytes": 9,
    "format": "JPEG",
    "created_at": NOW,
}
FOUND = {
    "backbone": "resnet34",
    "searched": 9,
    "missing": 1,
    "known_score": 0.25,
    "images": [{"similarity": 0.9, "dataset_id": "dst_1", "image": IMAGE}],
}


def test_a_picture_is_sent(client, service):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("POST", "/v1/similar", FOUND)
    found = client.datasets.get("pets").similar(b"picture", limit=3)
    assert (found.known_score, found.images[0].image.name, found.images[0].similarity) == (0.25, "cat.jpg", 0.9)
    client.similar(b"picture", image_size=96)
    first, second = service.asked_for("POST", "/v1/similar")
    assert first.parts == [("files", "1", b"picture")]
    assert first.query == {"dataset": ["dst_1"], "limit": ["3"]}
    assert second.query == {"image_size": ["96"]}


def test_an_image_a_part_of_it_and_a_picture_of_a_batch(client, service):
    service.answer("GET", "/v1/images/img_1/similar", FOUND)
    service.answer("GET", "/v1/batches/bat_1", job("succeeded", "bat_1", "batch"))
    service.answer("GET", "/v1/batches/bat_1/results/3/similar", FOUND)
    assert client.images.similar("img_1", dataset="pets", crop=(0, 0, 2, 2)).searched == 9
    assert service.asked_for("GET", "/v1/images/img_1/similar")[0].query == {
        "dataset": ["pets"],
        "crop": ["[0, 0, 2, 2]"],
    }
    assert client.batches.get("bat_1").similar(3, backbone="resnet18").missing == 1
    assert service.asked_for("GET", "/v1/batches/bat_1/results/3/similar")[0].query == {"backbone": ["resnet18"]}


def test_a_map_is_a_data_frame(client, service):
    service.answer("GET", "/v1/datasets/pets", dataset())
    point = {"image_id": "img_1", "name": "a.jpg", "x": 0.5, "y": -1.0, "label": "cat", "labels": ["cat"]}
    facts = {"dataset_id": "dst_1", "backbone": "resnet34", "images": 1, "missing": 0, "explained": [0.4, 0.2]}
    service.answer("GET", "/v1/datasets/dst_1/map", facts | {"points": [point]})
    found = client.datasets.get("pets").map(limit=10)
    assert service.asked_for("GET", "/v1/datasets/dst_1/map")[0].query == {"limit": ["10"]}
    (row,) = found.to_pandas().to_dict("records")
    assert (row["image_id"], row["x"], row["y"], row["label"]) == ("img_1", 0.5, -1.0, "cat")
