"""Tags and heatmaps over HTTP: what is asked for, and what becomes of the rows that a worker writes."""

import csv
import io
import json

import pytest
from PIL import Image

from db import registry
from db.jobs import batches, jobs
from tests.api.conftest import as_files, claim_chunk, picture, pictures, predict

TAG = {"label": "eel", "score": 0.8, "known_score": 0.4, "box": [1, 2, 11, 12]}
HEATMAP = {"label": "eel", "width": 2, "height": 1, "values": [[0.0, 1.0]], "box": [2, 0, 22, 20]}


def answer(services, **columns):
    with services.database.transaction() as session:
        claimed = claim_chunk(session)
        rows = [predict(item, (0.1, 0.2, 0.7), failed=False) | columns for item in batches.items_of(session, claimed)]
        assert batches.finish_chunk(session, claimed, rows)
        return jobs.find(session, claimed.job_id)


@pytest.fixture
def batch(client, model):
    def start(**form):
        sent = client.post("/v1/batches", files=as_files([picture()]), data={"model": model, **form})
        assert sent.status_code == 202, sent.text
        return sent.json()

    return start


def test_tags_come_with_the_results_and_in_every_table(client, services, batch):
    job = batch(tags="true")
    assert answer(services, tags=[TAG]).request["tags"] is True
    place = job["links"]["results"]
    (item,) = client.get(job["links"]["items"]).json()["data"]
    assert item["tags"] == [TAG]
    assert json.loads(client.get(place).text)["tags"] == [TAG]
    (row,) = csv.DictReader(io.StringIO(client.get(place, params={"format": "csv"}).text))
    assert json.loads(row["tags"]) == [TAG]
    assert client.get(place, params={"format": "parquet"}).status_code == 200


def test_without_the_wish_a_table_has_no_column_of_tags(client, services, batch):
    job = batch()
    answer(services)
    assert "tags" not in client.get(job["links"]["results"], params={"format": "csv"}).text.splitlines()[0].split(",")
    (item,) = client.get(job["links"]["items"]).json()["data"]
    assert (item["tags"], item["heatmap"]) == (None, None)


def test_a_heatmap_is_numbers_and_a_picture(client, services, batch):
    job = batch(heatmap="eel")
    answer(services, heatmap=HEATMAP)
    (item,) = client.get(job["links"]["items"]).json()["data"]
    assert item["heatmap"]["values"] == [[0.0, 1.0]]
    png = client.get(item["heatmap"]["links"]["png"])
    assert png.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(png.content)).size == (24, 20)


def test_a_heatmap_that_is_withheld_says_why_and_has_no_picture(client, services, batch):
    job = batch(heatmap="top")
    answer(services, heatmap={"label": "tuna", "withheld": "they mislead"})
    (item,) = client.get(job["links"]["items"]).json()["data"]
    assert (item["heatmap"]["withheld"], item["heatmap"]["links"]) == ("they mislead", {})
    assert client.get(f"{job['links']['results']}/0/heatmap.png").status_code == 404
    assert client.get(f"{job['links']['results']}/7/heatmap.png").status_code == 404


def test_a_heatmap_of_an_unknown_label_is_refused_with_the_known_ones(client, model):
    for place, form in (("/v1/batches", {"model": model}), (f"/v1/models/{model}/predict", {})):
        refused = client.post(place, files=as_files(pictures(1)), data={**form, "heatmap": "salmon"})
        assert refused.status_code == 422, refused.text
        (line,) = refused.json()["errors"]
        assert line["pointer"] == "#/heatmap"
        assert "'tuna'" in line["detail"]


def test_a_prediction_has_its_own_place_for_the_picture(client, services, model):
    sent = client.post(
        f"/v1/models/{model}/predict",
        files=as_files([picture()]),
        data={"heatmap": "top", "tags": "true"},
        headers={"Prefer": "wait=0"},
    )
    assert sent.status_code == 202
    answer(services, heatmap=HEATMAP, tags=[])
    (found,) = client.get(sent.json()["links"]["self"]).json()["result"]["predictions"]
    assert found["tags"] == []
    assert client.get(found["heatmap"]["links"]["png"]).status_code == 200


def test_the_model_says_how_its_heatmaps_fared(client, services, model):
    assert client.get(f"/v1/models/{model}").json()["heatmap"] is None

    facts = {"images": 20, "method": "occlusion", "beats_random": 0.95, "withheld": None}
    with services.database.transaction() as session:
        registry.set_parity(session, model, "heatmap", facts)
    assert client.get(f"/v1/models/{model}").json()["heatmap"] == facts
