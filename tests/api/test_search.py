"""Search over what people named."""

import pytest


@pytest.fixture
def found(client):
    def search(q, **params):
        answer = client.get("/v1/search", params={"q": q, **params})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return search


def names(hits):
    return [hit["name"] for hit in hits]


def test_data_sets_are_found_by_a_part_of_their_name_the_best_fit_first(client, found):
    for name in ("old sushi", "Sushi bar", "sushi", "100%", "sashimi"):
        client.post("/v1/datasets", json={"name": name})
    assert names(found("SUSHI")["datasets"]) == ["sushi", "Sushi bar", "old sushi"]
    assert names(found("sushi", limit=1)["datasets"]) == ["sushi"]
    assert names(found("%")["datasets"]) == ["100%"], "no wildcards"
    (hit,) = found("sashimi")["datasets"]
    assert client.get(hit["links"]["self"]).json()["name"] == "sashimi"
    assert names(found(hit["id"])["datasets"]) == ["sashimi"]


def test_models_are_found_by_name_alias_and_id(model, found):
    for words in ("SUSH", "prod", model):
        (hit,) = found(words)["models"]
        assert (hit["id"], hit["aliases"]) == (model, ["production"])


def test_jobs_are_found_by_what_they_are_about_and_by_the_beginning_of_their_id(client, dataset, found, services):
    body = {"dataset": dataset, "name": "Thursday", "metadata": {"ticket": "Fisch-42"}}
    made = client.post("/v1/trainings", json=body)
    job = made.json()
    for words in ("thurs", job["id"], job["id"][:20], "trn_"):
        (hit,) = found(words)["jobs"]
        assert (hit["id"], hit["object"], hit["status"], hit["name"]) == (job["id"], "training", "queued", "Thursday")
    assert found("bat_")["jobs"] == []
    assert found("nonsense") == {"datasets": [], "models": [], "jobs": []}


@pytest.mark.parametrize("q", ["", "x" * 201])
def test_a_search_for_nothing_is_refused(client, q):
    assert client.get("/v1/search", params={"q": q}).status_code == 422
