"""Images that look most like a picture, answered by a worker from kept features."""

import io

import numpy as np
import pytest
from PIL import Image

from db.curation import analyses
from db.models import Evaluation, EvaluationItem
from tests.api.conftest import as_files, picture
from tests.api.similar import BACKBONE, REDS, add, keep
from tests.api.test_scopes import make_key
from training.random_projection import DIMENSIONS, unit
from worker.inference import similar_pictures


def found(answer):
    assert answer.status_code == 200, answer.text
    return [int(each["image"]["name"][:-4]) for each in answer.json()["images"]]


def like(client, image, **query):
    return client.get(f"/v1/images/{image['id']}/similar", params=query)


def test_the_nearest_images_come_first_without_the_image_itself(client, reds):
    answer = like(client, reds[100], limit=4)
    assert found(answer)[:2] in ([80, 120], [120, 80])
    assert set(found(answer)) == {60, 80, 120, 140}
    body = answer.json()
    assert (body["searched"], body["missing"], body["backbone"]) == (12, 0, BACKBONE)
    cosines = [each["similarity"] for each in body["images"]]
    assert cosines == sorted(cosines, reverse=True)
    assert cosines[0] == pytest.approx(np.cos(20 / 200), abs=0.06), "but for the random projection"


def test_of_all_data_sets_or_of_one(client, services, reds):
    others = add(client, "others", 101, 205)
    keep(services, others, 101, 205)
    assert found(like(client, reds[100], limit=1)) == [101]
    assert found(like(client, reds[100], dataset="reds", limit=1))[0] in {80, 120}
    assert found(like(client, reds[100], dataset="others")) == [101, 205]
    assert like(client, reds[100], dataset="none").status_code == 404


def test_a_picture_that_is_sent_is_compared_and_not_kept(client, services, reds):
    sent = picture((142, 60, 90))
    by_form = client.post("/v1/similar?limit=2", files=as_files([sent]))
    raw = client.post("/v1/similar?limit=2&dataset=reds", content=sent, headers={"Content-Type": "image/png"})
    assert found(by_form) == found(raw) == [140, 160]
    assert client.get("/v1/datasets/reds").json()["images"] == len(REDS)


def test_a_new_kind_of_picture_has_a_low_known_score(client, similarity_worker, services):
    images = add(client, "reds", *range(0, 60, 2), 255)
    keep(services, images, *range(0, 60, 2))
    scores = [
        client.post("/v1/similar", files=as_files([picture((red, 60, 90))])).json()["known_score"] for red in (11, 240)
    ]
    assert scores[0] > 0.4
    assert scores[1] == 0


def test_what_is_added_looked_at_excluded_and_deleted_is_followed(client, services, reds):
    assert found(like(client, reds[100], limit=1))[0] in {80, 120}
    more = add(client, "reds", 104, 108)
    answer = like(client, reds[100], limit=1)
    assert answer.json()["missing"] == 2, "nothing looked at them yet"
    keep(services, more, 104, 108)
    assert found(like(client, reds[100], limit=2)) == [104, 108]
    client.post("/v1/datasets/reds/revisions", json={"act": "exclude", "images": [more[104]["id"]]})
    client.delete(f"/v1/images/{more[108]['id']}")
    assert found(like(client, reds[100], limit=1))[0] in {80, 120}
    client.post("/v1/datasets/reds/revisions", json={"act": "restore", "images": [more[104]["id"]]})
    assert found(like(client, reds[100], limit=1)) == [104]


def test_a_part_of_an_image_is_looked_at(client, services, reds):
    halves = Image.new("RGB", (40, 20), (20, 60, 90))
    halves.paste((200, 60, 90), (20, 0, 40, 20))
    halves.save(file := io.BytesIO(), "PNG")
    client.post("/v1/datasets/reds/images", files=[("files", ("999.png", file.getvalue(), "image/png"))])
    image = client.get("/v1/datasets/reds/images?limit=200").json()["data"][-1]
    for box, red in (("[0, 0, 20, 20]", 20), ("[20, 0, 40, 20]", 200)):
        assert found(like(client, image, crop=box, limit=1)) == [red]
    answer = like(client, reds[100], crop="[0, 0, 500, 5]")
    assert (answer.status_code, answer.json()["code"]) == (422, "crop_outside")
    assert like(client, reds[100], crop="left").status_code == 422


def test_a_picture_of_a_batch(client, services, reds, model):
    sent = client.post("/v1/batches", files=as_files([picture((62, 60, 90))]), data={"model": model}).json()
    place = f"/v1/batches/{sent['id']}/results"
    assert found(client.get(f"{place}/0/similar?limit=1")) == [60]
    assert client.get(f"{place}/7/similar").status_code == 404


def test_without_a_worker_the_answer_says_what_to_do(client, services):
    images = add(client, "reds", 1, 2)
    answer = like(client, images[1])
    assert (answer.status_code, answer.json()["code"]) == (409, "worker_unreachable")


def test_without_features_the_answer_says_what_to_do(client, services, similarity_worker):
    images = add(client, "reds", 1, 2)
    for others in ((), (9,)):
        if others:
            keep(services, add(client, "others", *others), *others)
        answer = like(client, images[1], dataset="reds")
        assert (answer.status_code, answer.json()["code"]) == (409, "features_missing")
        assert "datasets check" in answer.json()["hint"]
    answer = client.post("/v1/similar", content=b"no picture", headers={"Content-Type": "image/png"})
    assert answer.json()["code"] == "not_an_image"


def test_a_bound_key_searches_only_what_it_sees(client, stranger, services, reds):
    others = add(client, "others", 101, 205)
    keep(services, others, 101, 205)
    own = client.get("/v1/datasets/others").json()["id"]
    _, headers = make_key(services, "read", datasets=[own])
    answer = stranger.get(f"/v1/images/{others[205]['id']}/similar", headers=headers)
    assert found(answer) == [101]
    assert stranger.get(f"/v1/images/{reds[100]['id']}/similar", headers=headers).status_code == 404
    for dataset in ("reds", "none"):
        answer = stranger.post(f"/v1/similar?dataset={dataset}", headers=headers, files=as_files([picture()]))
        assert answer.status_code == 404


def test_rows_are_compared_as_written():
    rows = unit(np.random.default_rng(0).standard_normal((5, DIMENSIONS)).astype(np.float32))
    index = similar_pictures.VectorIndex(DIMENSIONS)
    index.add(list("abcde"), rows)
    assert index.search(rows[2], 2)[0] == ("c", pytest.approx(1))


def test_a_map_has_what_is_alike_near_each_other(client, services, reds):
    more = add(client, "reds", 3)
    client.post("/v1/datasets/reds/revisions", json={"act": "relabel", "label": "dark", "images": [reds[0]["id"]]})
    found = client.get("/v1/datasets/reds/map").json()
    assert (found["images"], found["missing"], len(found["points"])) == (12, 1, 12)
    assert found["explained"][0] > found["explained"][1] > 0
    at = {int(point["name"][:-4]): np.array([point["x"], point["y"]]) for point in found["points"]}
    assert np.linalg.norm(at[0] - at[20]) < np.linalg.norm(at[0] - at[100]) < np.linalg.norm(at[0] - at[220])
    (dark,) = [point for point in found["points"] if point["label"]]
    assert (dark["image_id"], dark["label"], dark["predicted"], dark["findings"]) == (reds[0]["id"], "dark", None, [])
    keep(services, more, 3)
    client.post("/v1/datasets/reds/revisions", json={"act": "exclude", "images": [reds[20]["id"]]})
    found = client.get("/v1/datasets/reds/map?limit=50").json()
    assert {"3.png", "20.png"} & {point["name"] for point in found["points"]} == {"3.png"}
    assert len(client.get("/v1/datasets/reds/map?limit=5").json()["points"]) in {4, 5}, "the excluded one may be chosen"


def test_a_map_says_what_was_predicted_and_found(client, services, reds, model):
    dataset = client.get("/v1/datasets/reds").json()["id"]
    image = reds[40]["id"]
    with services.database.transaction() as session:
        row = {"image_id": image, "kind": "outlier", "score": 0.1, "group_id": "", "suggestion": None}
        analyses.replace(session, dataset, [row])
        session.add(Evaluation(id="evl_9", model_id=model, dataset_id=dataset, split="all", metrics={}))
        session.flush()
        facts = {"name": "40.png", "sha256": reds[40]["sha256"], "true_label": "a", "score": 0.9, "loss": 0.1}
        facts |= {"probabilities": b"", "image_id": image}
        session.add(EvaluationItem(evaluation_id="evl_9", seq=0, predicted_label="b", **facts))
    (point,) = [each for each in client.get("/v1/datasets/reds/map").json()["points"] if each["image_id"] == image]
    assert (point["findings"], point["predicted"]) == (["outlier"], ["b"])
