"""A model's batches beside its held-out pictures."""

import numpy as np
import pytest

from db.jobs import batches
from db.models import Model
from tests.api.conftest import LABELS, as_files, claim_chunk, pictures, predict
from tests.tsukiji.vision.test_drift import FEATURES
from tsukiji.vision.drift import Distribution, HeldOut

KNOWN = np.linspace(0.01, 1, 90)
HELD_OUT = HeldOut.of(np.arange(90) % 3, KNOWN, KNOWN, np.zeros((90, FEATURES)), 3)


@pytest.fixture
def watched(services, model):
    """The model, with its held-out pictures."""
    return watch(services, model)


def watch(services, model):
    with services.database.transaction() as session:
        session.get(Model, model).held_out = HELD_OUT.model_dump()
    return model


def classify(client, services, model, known, images=8):
    """Return a batch whose pictures have this known score."""
    sent = client.post("/v1/batches", files=as_files(pictures(images)), data={"model": model})
    assert sent.status_code == 202, sent.text
    while True:
        with services.database.transaction() as session:
            chunk = claim_chunk(session)
            if chunk is None:
                return sent.json()["id"]
            items = batches.items_of(session, chunk)
            rows = [predict(item, (0.1, 0.2, 0.7), False, known) for item in items]
            assert batches.finish_chunk(session, chunk, rows, None, distribution(len(items), known))


def distribution(images, known):
    """Return the counts of pictures taken for tuna, with this known score."""
    scores = np.full(images, float(known))
    return Distribution.of(np.full(images, 2), scores, scores, np.zeros((images, FEATURES)), 3, HELD_OUT)


def test_a_model_s_batches_are_shown_beside_its_held_out_pictures(client, services, watched):
    usual, strange = (classify(client, services, watched, known) for known in (0.6, 0.0))
    found = client.get("/v1/models/production/drift").json()
    assert (found["object"], found["model_id"], found["has_more"]) == ("list", watched, False)
    assert [row["batch_id"] for row in found["data"]] == [strange, usual]
    assert [row["exceeded"] for row in found["data"]] == [True, False]
    assert found["held_out"]["labels"] == dict.fromkeys(LABELS, 30)
    assert sum(found["held_out"]["known_scores"]) == 90
    first = found["data"][0]
    assert (first["images"], first["strange"], first["pictures"]["labels"]) == (8, 8, {"tuna": 8})
    assert first["p_value"] <= 0.005
    assert first["label_distance"] == pytest.approx(2 / 3)
    page = client.get("/v1/models/production/drift?limit=1").json()
    assert page["has_more"]
    rest = client.get("/v1/models/production/drift", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [row["batch_id"] for row in rest["data"]] == [usual]


def test_the_summary_says_it_and_another_mix_of_labels_alone_is_no_drift(client, services, watched):
    job = classify(client, services, watched, 0.6)
    drift = client.get(f"/v1/batches/{job}/summary").json()["drift"]
    assert not drift["exceeded"]
    assert drift["label_distance"] == pytest.approx(2 / 3)
    waiting = client.post("/v1/batches", files=as_files(pictures(2)), data={"model": watched}).json()
    assert client.get(f"/v1/batches/{waiting['id']}/summary").json()["drift"] is None


def test_a_model_of_an_earlier_version_has_nothing_to_compare_with(client, services, model):
    classify(client, services, model, 0.0)
    found = client.get(f"/v1/models/{model}/drift").json()
    assert found["held_out"] is None
    assert (found["data"][0]["strange"], found["data"][0]["label_distance"]) == (None, None)


def test_counts_stay_when_results_are_deleted(client, services, watched):
    job = classify(client, services, watched, 0.0)
    assert client.delete(f"/v1/batches/{job}").status_code == 204
    assert client.get(f"/v1/models/{watched}/drift").json()["data"][0]["strange"] == 8


def test_a_key_does_not_see_batches_that_it_does_not_see(client, start, services, watched, dataset):
    classify(client, services, watched, 0.6)
    made = client.post("/v1/batches", json={"model": watched, "input": {"dataset": dataset}}).json()
    assert made["id"]
    bound = client.post("/v1/keys", json={"name": "bound", "scopes": ["read"], "models": [watched]}).json()["key"]
    seen = start(bound).get(f"/v1/models/{watched}/drift")
    assert [row["object"] for row in seen.json()["data"]] == ["batch_drift"]
    other = client.post("/v1/keys", json={"name": "other", "scopes": ["read"], "datasets": [dataset]}).json()["key"]
    assert start(other).get(f"/v1/models/{watched}/drift").status_code == 404
