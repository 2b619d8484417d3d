"""Pictures of results: as they were sent, small, and no longer than the results."""

import io

import pytest
from PIL import Image

from tests.api.conftest import as_files, picture, work
from tests.api.test_batches import Worker


@pytest.fixture
def batch(client, services, model):
    sent = client.post("/v1/batches", files=as_files([picture(size=(2000, 1000)), b"text"]), data={"model": model})
    work(services, errors={1})
    return sent.json()


def test_a_batch_gives_its_pictures_back(client, batch):
    place = batch["links"]["content"].replace("{seq}", "0")
    assert client.get(place).content == picture(size=(2000, 1000))
    for variant, size in (("thumb", (192, 96)), ("preview", (1024, 512))):
        answer = client.get(place, params={"variant": variant})
        assert answer.headers["content-type"] == "image/webp"
        assert Image.open(io.BytesIO(answer.content)).size == size


def test_what_is_no_picture_can_still_be_downloaded(client, batch):
    place = batch["links"]["content"].replace("{seq}", "1")
    answer = client.get(place)
    assert answer.content == b"text"
    assert answer.headers["content-disposition"] == "attachment"
    assert client.get(place, params={"variant": "thumb"}).json()["code"] == "not_an_image"


def test_a_prediction_gives_its_picture_back(client, services, model):
    with Worker(services):
        job = client.post(f"/v1/models/{model}/predict", files=as_files([picture()])).json()
    assert client.get(job["links"]["content"].replace("{seq}", "0")).content == picture()


def test_after_the_results_the_pictures_are_gone(client, batch):
    place = batch["links"]["content"]
    assert client.get(place.replace("{seq}", "7")).status_code == 404
    client.delete(batch["links"]["self"])
    assert client.get(place.replace("{seq}", "0")).status_code == 410


def test_only_what_has_no_decision_for_one_reason(client, services, model):
    sent = client.post("/v1/batches", files=as_files([picture()]), data={"model": model}).json()
    work(services, known_score=0.01)
    for reason, threshold, count in (("none_of_these", 0, 1), ("below_threshold", 0.9, 0)):
        query = {"abstain_reason": reason, "threshold": threshold}
        assert len(client.get(sent["links"]["items"], params=query).json()["data"]) == count
    query = {"abstain_reason": "below_threshold", "threshold": 0.9, "min_known": 0}
    assert len(client.get(sent["links"]["items"], params=query).json()["data"]) == 1
