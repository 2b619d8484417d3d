"""Suggestions: unlabelled images in piles, which one act accepts; a round by a worker on features that are kept."""

import pytest

from db.jobs import leases
from db.models import Job
from tests.api.conftest import as_files, limited, picture
from tests.api.suggesting import BACKBONE, PLACE, act, keep, label, work
from worker.jobs import suggestions


def listed(client, pile):
    return client.get(f"{PLACE}/images", params={"pile": pile}).json()["data"]


def counted(found):
    return {pile["pile"]: pile["images"] for pile in found["piles"]}


def test_a_round_is_a_job(client, services, pets):
    answer = client.post(PLACE, json={"image_size": 96})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == job["links"]["self"] == f"/v1/suggestions/{job['id']}"
    assert job["request"]["backbone"] == BACKBONE
    assert services.notifier.sent[-1] == "intake"
    assert client.post(PLACE, json={"image_size": 96}).json()["id"] == job["id"], "one like it waits"
    assert [row["id"] for row in client.get("/v1/suggestions").json()["data"]] == [job["id"]]


def test_before_there_are_two_labels_alike_images_are_together(client, pets, suggest):
    found = suggest()
    assert (found["accuracy"], found["bound"], found["labelled"], found["unlabelled"]) == (None, None, 0, 24)
    piles = [pile["pile"] for pile in found["piles"]]
    assert piles[0].startswith("cluster:")
    assert piles[-1] == "doubtful"
    assert sum(counted(found).values()) == 24
    for pile in piles[:-1]:
        images = listed(client, pile)
        assert len({image["name"][:3] for image in images}) == 1, "cats and dogs are not in one pile"
        assert {image["label"] for image in images} == {None}
        assert [image["score"] for image in images] == sorted((image["score"] for image in images), reverse=True)


def test_labels_so_far_say_the_others(client, pets, suggest):
    label(client, pets)
    found = suggest()
    assert (found["labelled"], found["unlabelled"], found["accuracy"], found["unreadable"]) == (8, 16, 1.0, 0)
    low, high = found["accuracy_interval"]
    assert low == pytest.approx(0.6756, abs=1e-3)
    assert high == 1
    assert counted(found) == {"label:cat": 8, "label:dog": 8}
    cats = listed(client, "label:cat")
    assert {image["name"][:3] for image in cats} == {"cat"}
    assert {image["label"] for image in cats} == {"cat"}
    scores = [image["score"] for image in cats]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= found["bound"]


def test_what_resembles_nothing_labelled_is_doubtful(client, services, pets, suggest):
    label(client, pets)
    image = client.get(f"/v1/images/{list(pets.values())[-1]}").json()
    keep(services, {image["sha256"]: "elk"})
    suggest()
    assert [row["image_id"] for row in listed(client, "doubtful")] == [image["id"]]


def test_a_pile_is_accepted_by_one_act_and_comes_back_by_undo(client, pets, suggest):
    label(client, pets)
    suggest()
    taken_out = listed(client, "label:cat")[-1]["image_id"]
    accepted = act(client, "relabel", label="cat", filter={"pile": "label:cat"}, **{"except": [taken_out]})
    assert accepted["images"] == 7
    assert "but 1" in accepted["description"]
    assert [image["image_id"] for image in listed(client, "label:cat")] == [taken_out]
    assert counted(client.get(PLACE).json()) == {"label:cat": 1, "label:dog": 8}
    client.post(accepted["links"]["undo"])
    assert counted(client.get(PLACE).json()) == {"label:cat": 8, "label:dog": 8}
    assert client.get("/v1/datasets/pets/images?unlabelled=true&limit=100").json()["data"][0]["label"] is None
    assert len(client.get("/v1/datasets/pets/images?pile=label:cat").json()["data"]) == 8


def test_what_was_labelled_meanwhile_keeps_its_label(client, pets, suggest):
    label(client, pets)
    suggest()
    mine = listed(client, "label:cat")[0]["image_id"]
    act(client, "relabel", label="dog", images=[mine])
    assert act(client, "relabel", label="cat", filter={"pile": "label:cat"})["images"] == 7
    assert client.get(f"/v1/images/{mine}").json()["label"] == "dog"


def test_excluded_and_deleted_images_drop_out(client, pets, suggest):
    label(client, pets)
    suggest()
    first, second = (image["image_id"] for image in listed(client, "label:dog")[:2])
    act(client, "exclude", images=[first])
    client.delete(f"/v1/images/{second}")
    assert counted(client.get(PLACE).json())["label:dog"] == 6
    assert not {first, second} & {image["image_id"] for image in listed(client, "label:dog")}
    assert suggest()["unlabelled"] == 14


def test_rounds_draw_a_curve(client, pets, suggest):
    suggest()
    label(client, pets, 3)
    suggest()
    act(client, "relabel", label="cat", filter={"pile": "label:cat"})
    history = suggest()["history"]
    assert [(row["labelled"], row["accuracy"]) for row in history] == [(0, None), (6, 1.0), (15, 1.0)]
    assert history[1]["accuracy_interval"][0] < history[2]["accuracy_interval"][0]


def test_pages_of_a_pile_hold_each_image_once(client, pets, suggest):
    label(client, pets)
    suggest()
    seen, cursor = [], None
    while True:
        params = {"pile": "label:cat", "limit": 3} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"{PLACE}/images", params=params).json()
        seen += [image["image_id"] for image in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [image["image_id"] for image in listed(client, "label:cat")]


def test_a_picture_without_features_is_last_among_the_doubtful(client, services, pets, suggest, monkeypatch):
    label(client, pets)
    client.post("/v1/datasets/pets/images", files=as_files([picture((1, 2, 3))]))
    monkeypatch.setattr(suggestions.Features, "compute", lambda *_: None)
    found = suggest()
    assert (found["unreadable"], found["unlabelled"]) == (1, 17)
    assert listed(client, "doubtful")[-1]["name"] == "0.png"


def test_near_duplicates_do_not_vouch_for_each_other():
    rows = [{"id": str(number), "group": "g" if number < 2 else None} for number in range(4)]
    groups = suggestions.groups_of([type("Row", (), row) for row in rows])
    assert groups[0] == groups[1]
    assert len(set(groups.tolist())) == 3


def test_a_worker_that_dies_leaves_the_round_to_another(client, services, suggestion_worker, pets, monkeypatch):
    label(client, pets)
    job = client.post(PLACE, json={}).json()
    with monkeypatch.context() as broken:
        broken.setattr(suggestions, "sort", lambda *_: 1 / 0)
        work(services, suggestion_worker, job["id"])
    assert client.get(f"/v1/suggestions/{job['id']}").json()["status"] == "queued"
    assert client.get(PLACE).status_code == 404
    work(services, suggestion_worker, job["id"])
    assert counted(client.get(PLACE).json()) == {"label:cat": 8, "label:dog": 8}


def test_a_worker_that_lost_its_lease_writes_nothing(client, services, suggestion_worker, pets, monkeypatch):
    label(client, pets)
    job = client.post(PLACE, json={}).json()
    real = suggestions.sort

    def taken_over(*arguments):
        with services.database.transaction() as session:
            leases.give_back(session, session.get(Job, job["id"]), "test")
        return real(*arguments)

    monkeypatch.setattr(suggestions, "sort", taken_over)
    work(services, suggestion_worker, job["id"])
    assert client.get(PLACE).status_code == 404
    assert listed(client, "label:cat") == []


def test_what_cannot_be_suggested_is_refused_with_a_way_out(client):
    client.post("/v1/datasets", json={"name": "pets"})
    empty = client.post(PLACE, json={}).json()
    assert empty["code"] == "dataset_too_small"
    assert "images" in empty["hint"]
    client.post("/v1/datasets", json={"name": "many", "kind": "multi_label"})
    several = client.post("/v1/datasets/many/suggestions", json={}).json()
    assert several["code"] == "invalid_request"
    assert "multi_label" in several["detail"]
    assert "label_next" in several["hint"]
    assert client.post("/v1/datasets/none/suggestions", json={}).status_code == 404
    assert "suggestions" in client.get(PLACE).json()["hint"]
    assert client.get(f"{PLACE}/images").status_code == 422


def test_except_goes_with_a_filter(client, pets):
    body = {"act": "relabel", "label": "cat", "images": list(pets.values())[:1], "except": ["img_1"]}
    assert client.post("/v1/datasets/pets/revisions", json=body).json()["code"] == "invalid_request"


def test_a_key_has_so_many_unfinished_and_no_more(client, services, pets):
    services.settings = limited(services.settings, queued_imports=1)
    client.post(PLACE, json={})
    assert client.post(PLACE, json={"image_size": 96}).json()["code"] == "queue_full"
