"""Analyses: one job at a time for each data set, and findings by kind, the worst first."""

import pytest

from db.curation import analyses, datasets
from db.jobs import jobs, leases
from db.models import Job
from tests.api.conftest import limited


@pytest.fixture
def analysed(client, services, dataset):
    """The data set with findings as a worker writes them."""
    job = client.post("/v1/datasets/sushi/analyses", json={}).json()
    with services.database.reading() as session:
        images = datasets.all_images(session, dataset, 10)
    with services.database.transaction() as session:
        claimed = leases.claim(session, Job, job["id"], "test", 30)
        assert jobs.finish(session, claimed, {"dataset_id": dataset})
        found = [finding(image, "blurry", 0.1 * number) for number, image in enumerate(images[:5])]
        found += [finding(image, "near_duplicates", 0.2, images[0].id, {"keep": images[1].id}) for image in images[:2]]
        analyses.replace(session, dataset, found)
        analyses.note(
            session,
            dataset,
            job["id"],
            len(images),
            [{"findings": ["crop"], "code": "weights_unavailable"}],
            {"blurry": 9},
        )
    return images


def finding(image, kind, score, group="", suggestion=None):
    return {"image_id": image.id, "kind": kind, "score": score, "group_id": group, "suggestion": suggestion}


def test_an_analysis_is_a_job(client, services, dataset):
    answer = client.post("/v1/datasets/sushi/analyses", json={"image_size": 96})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == job["links"]["self"] == f"/v1/analyses/{job['id']}"
    assert job["request"] == {"dataset": dataset, "backbone": "efficientnet_lite0", "image_size": 96}
    assert services.notifier.sent == ["intake"]
    assert client.get(f"/v1/analyses/{job['id']}").json()["object"] == "analysis"
    assert [row["id"] for row in client.get("/v1/analyses").json()["data"]] == [job["id"]]


def test_while_one_waits_another_like_it_is_the_same(client, services, dataset):
    first, again, other = (
        client.post("/v1/datasets/sushi/analyses", json=body).json()["id"] for body in ({}, {}, {"image_size": 96})
    )
    assert first == again != other
    with services.database.transaction() as session:
        leases.claim(session, Job, first, "test", 30)
    assert client.post("/v1/datasets/sushi/analyses", json={}).json()["id"] != first, "images may have come since"


def test_what_makes_no_sense_is_refused(client, dataset):
    assert client.post("/v1/datasets/none/analyses", json={}).status_code == 404
    assert client.post("/v1/datasets/sushi/analyses", json={"image_size": 97}).json()["code"] == "invalid_request"
    assert client.get("/v1/datasets/sushi/findings?kind=ugly").status_code == 422


def test_a_key_has_so_many_unfinished_and_no_more(client, services, dataset):
    services.settings = limited(services.settings, queued_imports=1)
    client.post("/v1/datasets/sushi/analyses", json={})
    assert client.post("/v1/datasets/sushi/analyses", json={"image_size": 96}).json()["code"] == "queue_full"


def test_before_the_first_there_is_nothing(client, dataset):
    answer = client.get("/v1/datasets/sushi/analysis").json()
    assert answer["code"] == "not_found"
    assert "analyses" in answer["hint"]
    assert client.get("/v1/datasets/sushi/findings").json()["data"] == []


def test_the_numbers_of_an_analysis(client, analysed, dataset):
    found = client.get("/v1/datasets/sushi/analysis").json()
    assert found["findings"] == {"blurry": 5, "near_duplicates": 2}
    assert (found["groups"], found["images"], found["images_since"], found["unlabelled"]) == (1, 8, 0, 0)
    assert [row["label"] for row in found["balance"]] == ["eel", "tuna"]
    assert found["unavailable"][0]["code"] == "weights_unavailable"
    assert found["prevalent"] == {"blurry": 9}
    client.delete(f"/v1/images/{analysed[0].id}")
    found = client.get("/v1/datasets/sushi/analysis").json()
    assert (found["findings"]["blurry"], found["images_since"]) == (4, -1), "findings go with their image"


def test_findings_come_by_kind_the_worst_first(client, analysed):
    rows = client.get("/v1/datasets/sushi/findings").json()["data"]
    assert [row["kind"] for row in rows] == ["blurry"] * 5 + ["near_duplicates"] * 2
    assert [row["score"] for row in rows[:5]] == sorted(row["score"] for row in rows[:5])
    last = rows[-1]
    assert (last["group"], last["suggestion"]) == (analysed[0].id, {"keep": analysed[1].id})
    assert last["links"]["thumb"].endswith("variant=thumb")


def test_pages_hold_each_finding_once(client, analysed):
    seen, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get("/v1/datasets/sushi/findings", params=params).json()
        seen += [(row["kind"], row["image_id"]) for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 7


@pytest.mark.parametrize(("query", "count"), [("kind=blurry", 5), ("label=eel", 6), ("kind=blurry&label=tuna", 1)])
def test_findings_are_chosen(client, analysed, query, count):
    assert len(client.get(f"/v1/datasets/sushi/findings?{query}").json()["data"]) == count


def test_findings_of_one_group_or_image(client, analysed):
    first = analysed[0].id
    assert len(client.get(f"/v1/datasets/sushi/findings?group={first}").json()["data"]) == 2
    assert len(client.get(f"/v1/datasets/sushi/findings?image={first}").json()["data"]) == 2


def test_a_damaged_cursor_is_refused(client, analysed):
    page = client.get("/v1/datasets/sushi/findings?limit=1").json()
    answer = client.get(f"/v1/datasets/sushi/findings?limit=1&kind=blurry&cursor={page['next_cursor']}")
    assert answer.json()["code"] == "invalid_request"


def test_what_was_found_can_be_acted_upon(client, analysed):
    wanted = {"finding": "blurry"}
    listed = client.get("/v1/datasets/sushi/images", params=wanted).json()["data"]
    assert {row["id"] for row in listed} == {image.id for image in analysed[:5]}
    act = {"act": "exclude", "filter": wanted}
    assert client.post("/v1/datasets/sushi/revisions", json=act).json()["images"] == 5
    assert client.get("/v1/datasets/sushi/images?excluded=true").json()["data"] == [
        row | {"excluded": True} for row in listed
    ]
