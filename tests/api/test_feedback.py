"""Corrected predictions become labelled images that wait for review."""

import pytest
from sqlalchemy import update

from db.models import Model
from db.predictions import retention
from tests.api.conftest import as_files, limited, pictures, work


@pytest.fixture
def own(services, model, dataset):
    """The model was trained on the data set `sushi`."""
    with services.database.transaction() as session:
        session.execute(update(Model).values(dataset_id=dataset))
    return dataset


@pytest.fixture
def batch(client, services, model):
    """A batch of three images: two unknown to the data set, and one that it holds."""
    blobs = [*pictures(2, 77), pictures(1)[0]]
    sent = client.post("/v1/batches", files=as_files(blobs), data={"model": model})
    assert sent.status_code == 202, sent.text
    work(services)
    return client.get(sent.json()["links"]["self"]).json()


def correct(client, job, *corrections, **more):
    return client.post(f"/v1/jobs/{job['id']}/feedback", json={"corrections": list(corrections), **more})


def pending(client):
    return client.get("/v1/datasets/sushi/images", params={"review": "pending"}).json()["data"]


def review(client, word, **wanted):
    body = {"act": "review", "review": word, **(wanted or {"filter": {"review": "pending"}})}
    return client.post("/v1/datasets/sushi/revisions", json=body)


def test_a_correction_waits_for_review_and_then_counts(client, own, batch):
    frozen = client.post(f"/v1/datasets/{own}/snapshots").json()
    answer = correct(client, batch, {"custom_id": "0.png", "label": "squid"}, {"seq": 1, "label": "eel"})
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["dataset_id"], told["accepted"], told["duplicates"], told["rejected"]) == (own, 2, 0, 0)
    waiting = {image["name"]: (image["label"], image["review"]) for image in pending(client)}
    assert waiting == {"0.png": ("squid", "pending"), "1.png": ("eel", "pending")}
    assert client.get(f"/v1/datasets/{own}").json()["pending"] == 2
    assert client.post(f"/v1/datasets/{own}/snapshots").json() == frozen, "nothing is learnt from what waits"
    first, second = (image["id"] for image in pending(client))
    assert review(client, "accepted", images=[first]).json()["images"] == 1
    assert review(client, "rejected", images=[second]).json()["images"] == 1
    after = client.post(f"/v1/datasets/{own}/snapshots").json()
    found = client.get("/v1/snapshots/compare", params={"a": frozen["id"], "b": after["id"]}).json()
    assert [row["image_id"] for row in found["data"]] == [first]
    assert pending(client) == []


def test_the_records_say_where_to_correct_them(client, own, batch):
    (first, *_), place = client.get(batch["links"]["items"]).json()["data"], batch["links"]["feedback"]
    assert place == f"/v1/jobs/{first['job_id']}/feedback"
    assert correct(client, {"id": first["job_id"]}, {"seq": first["seq"], "label": "eel"}).status_code == 201


def test_a_prediction_is_corrected_likewise(client, services, own, model):
    files = as_files(pictures(1, 55))
    job = client.post(f"/v1/models/{model}/predict", files=files, headers={"Prefer": "wait=0"}).json()
    work(services)
    assert correct(client, job, {"seq": 0, "label": "squid"}).json()["accepted"] == 1
    assert [image["label"] for image in pending(client)] == ["squid"]


def test_what_the_data_set_holds_stays_as_it_is(client, own, batch):
    answer = correct(client, batch, {"seq": 2, "label": "squid"})
    assert answer.status_code == 200
    (item,) = answer.json()["items"]
    assert (item["verdict"], item["label"]) == ("duplicate", "eel")
    assert client.get(f"/v1/images/{item['image_id']}").json()["review"] is None
    assert answer.json()["revision_id"] is None


def test_feedback_is_a_revision_whose_undo_rejects_and_never_deletes(client, own, batch):
    told = correct(client, batch, {"seq": 0, "label": "squid"}).json()
    place = f"/v1/datasets/{own}/revisions/{told['revision_id']}"
    assert client.get(place).json()["description"] == f"corrected predictions of {batch['id']}"
    assert client.post(f"{place}/undo").json()["images"] == 1
    assert client.get(f"/v1/images/{told['items'][0]['image_id']}").json()["review"] == "rejected"


def test_another_data_set_may_be_named(client, model, batch):
    client.post("/v1/datasets", json={"name": "corrections"})
    missing = correct(client, batch, {"seq": 0, "label": "squid"})
    assert (missing.status_code, missing.json()["errors"][0]["pointer"]) == (422, "#/dataset")
    told = correct(client, batch, {"seq": 0, "label": "squid"}, dataset="corrections").json()
    assert told["accepted"] == 1
    assert client.get("/v1/datasets/corrections").json()["pending"] == 1


def test_an_item_that_is_no_picture_is_rejected_and_the_others_kept(client, services, own, model):
    files = [*as_files(pictures(1, 66)), ("files", ("no.png", b"no picture", "image/png"))]
    job = client.post("/v1/batches", files=files, data={"model": model}).json()
    work(services)
    told = correct(client, job, {"seq": 0, "label": "a"}, {"seq": 1, "label": "b"}).json()
    assert (told["accepted"], told["rejected"]) == (1, 1)
    assert told["items"][1]["error"]["code"] == "not_an_image"


@pytest.mark.parametrize(
    ("corrections", "pointer"),
    [
        ([{"seq": 9, "label": "a"}], "#/corrections/0"),
        ([{"seq": 0, "label": "a"}, {"custom_id": "0.png", "label": "b"}], "#/corrections/1"),
        ([{"label": "a"}], "#/corrections/0"),
        ([{"seq": 0, "custom_id": "0.png", "label": "a"}], "#/corrections/0"),
        ([{"seq": 0, "label": ""}], "#/corrections/0/label"),
        ([], "#/corrections"),
    ],
)
def test_what_is_wrong_is_pointed_at(client, own, batch, corrections, pointer):
    answer = correct(client, batch, *corrections)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert pending(client) == []


def test_too_many_labels_and_jobs_without_predictions_are_refused(client, services, own, batch):
    services.settings = limited(services.settings, dataset_classes=2)
    assert correct(client, batch, {"seq": 0, "label": "third"}).json()["code"] == "label_refused"
    training = client.post("/v1/trainings", json={"dataset": "sushi"}).json()
    assert correct(client, training, {"seq": 0, "label": "eel"}).status_code == 409
    with services.database.transaction() as session:
        retention.request_deletion(session, batch["id"])
    assert correct(client, batch, {"seq": 0, "label": "eel"}).json()["code"] == "results_deleted"
