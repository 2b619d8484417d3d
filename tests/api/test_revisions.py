"""Acts on a data set over HTTP: done, told, undone, refused."""

import pytest

from tests.api.conftest import limited

REVISIONS = "/v1/datasets/sushi/revisions"


@pytest.fixture
def act(client, dataset):
    def act(kind, **wanted):
        return client.post(REVISIONS, json={"act": kind, **wanted})

    return act


def images(client, **wanted):
    return client.get("/v1/datasets/sushi/images", params={"limit": 200, **wanted}).json()["data"]


def labels(client):
    return sorted(image["label"] or "-" for image in images(client))


def test_an_act_and_its_undo(client, act, key):
    done = act("relabel", label=" salmon ", filter={"label": "eel"})
    assert done.status_code == 201, done.text
    revision = done.json()
    assert (revision["act"], revision["field"], revision["images"], revision["author"]) == (
        "relabel",
        "label",
        4,
        "tests",
    )
    assert done.headers["location"] == revision["links"]["self"]
    assert client.get(revision["links"]["self"]).json() == revision
    assert labels(client) == ["salmon"] * 4 + ["tuna"] * 4
    changes = client.get(revision["links"]["changes"], params={"limit": 3}).json()
    assert {(change["before"], change["after"]) for change in changes["data"]} == {("eel", "salmon")}
    assert changes["has_more"]
    undone = client.post(revision["links"]["undo"])
    assert undone.status_code == 201
    assert (undone.json()["act"], undone.json()["undoes"]) == ("undo", revision["id"])
    assert labels(client) == ["eel"] * 4 + ["tuna"] * 4
    history = client.get(REVISIONS).json()["data"]
    assert [row["act"] for row in history] == ["undo", "relabel"]
    assert history[1]["undone_by"] == history[0]["id"]


def test_what_stands_in_the_way_of_an_undo_is_named(client, act):
    first = act("exclude", filter={"label": "eel"}).json()
    second = act("restore", images=[images(client, excluded=True)[0]["id"]]).json()
    refused = client.post(first["links"]["undo"])
    assert (refused.status_code, refused.json()["code"], refused.json()["revision"]) == (
        409,
        "changed_since",
        second["id"],
    )
    client.post(second["links"]["undo"])
    assert client.post(first["links"]["undo"]).status_code == 201
    again = client.post(first["links"]["undo"])
    assert (again.status_code, again.json()["code"]) == (409, "revision_undone")


def test_lists_choose_by_what_was_done(client, act):
    chosen = [image["id"] for image in images(client, label="tuna")[:2]]
    act("exclude", images=chosen[:1])
    act("split", split="test", images=chosen)
    act("crop", crop=[0, 0, 12, 10], images=chosen[1:])
    assert [image["id"] for image in images(client, excluded=True)] == chosen[:1]
    assert len(images(client, excluded=False)) == 7
    assert len(images(client, split="unassigned")) == 6
    assert len(images(client, split="test", excluded=False)) == 1
    assert client.get(f"/v1/images/{chosen[1]}").json()["crop"] == [0, 0, 12, 10]
    assert client.get("/v1/datasets/sushi").json()["excluded"] == 1


def test_classes_are_merged_renamed_and_taken_away(client, act):
    assert act("rename_label", label="eel", to="tuna").status_code == 409
    assert act("rename_label", label="eel", to="unagi").status_code == 201
    assert act("merge_labels", labels=["unagi", "tuna"], into="fish").json()["images"] == 8
    assert act("delete_label", label="fish").json()["description"] == "delete the label 'fish'"
    assert labels(client) == ["-"] * 8
    assert act("delete_label", label="fish").json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("name", "wish"),
    [
        ("relabel", {"label": " Tuna\u200b", "filter": {"label": "eel"}}),
        ("rename_label", {"label": "eel", "to": "Tuna "}),
        ("merge_labels", {"labels": ["eel"], "into": "\u00a0Tuna"}),
    ],
)
def test_labels_of_acts_are_trimmed_and_those_that_look_alike_are_told(client, act, name, wish):
    revision = act(name, **wish).json()
    assert labels(client) == ["Tuna"] * 4 + ["tuna"] * 4
    assert [warning["code"] for warning in revision["warnings"]] == ["labels_alike"]
    assert act("delete_label", label="Tuna").json()["warnings"] == []


def test_suggestions_and_groups(client, act):
    a, b, c, *_ = (image["id"] for image in images(client))
    assert act("accept_labels", labels=[{"image": a, "label": "squid"}]).json()["images"] == 1
    assert act("keep_best", groups=[{"images": [a, b, c], "keep": c}]).json()["images"] == 2
    assert {image["id"] for image in images(client, excluded=True)} == {a, b}
    assert act("accept_crops", crops=[{"image": b, "crop": [1, 2, 24, 20]}]).json()["field"] == "crop"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"act": "paint"}, "#/act"),
        ({}, "#/act"),
        ({"act": "relabel", "filter": {}}, "#"),
        ({"act": "relabel", "label": "x"}, "#"),
        ({"act": "relabel", "label": "x", "filter": {}, "images": ["a"]}, "#"),
        ({"act": "relabel", "label": "a\x07", "filter": {}}, "#/label"),
        ({"act": "relabel", "label": "  ", "filter": {}}, "#/label"),
        ({"act": "relabel", "label": "x" * 201, "filter": {}}, "#/label"),
        ({"act": "exclude", "filter": {"lable": "eel"}}, "#/filter/lable"),
        ({"act": "split", "split": "holdout", "filter": {}}, "#/split"),
        ({"act": "crop", "crop": [5, 0, 5, 9], "filter": {}}, "#/crop"),
        ({"act": "keep_best", "groups": [{"images": ["a"], "keep": "b"}]}, "#/groups/0"),
    ],
)
def test_what_is_wrong_is_pointed_at(client, dataset, body, pointer):
    answer = client.post(REVISIONS, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert client.get(REVISIONS).json()["data"] == []


def test_a_crop_outside_the_picture_and_a_label_too_many_are_refused(client, act, services):
    outside = act("crop", crop=[0, 0, 25, 20], filter={})
    assert (outside.status_code, outside.json()["code"]) == (422, "crop_outside")
    services.settings = limited(services.settings, dataset_classes=2)
    assert act("relabel", label="third", filter={"label": "eel"}).json()["code"] == "label_refused"
    unknown = act("exclude", images=["img_nobody"])
    assert (unknown.status_code, unknown.json()["images"]) == (404, ["img_nobody"])


def test_one_key_one_act(client, dataset):
    asked = {"act": "exclude", "filter": {"label": "eel"}}
    first, second = (client.post(REVISIONS, json=asked, headers={"Idempotency-Key": "a"}) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["idempotency-replayed"] == "true"
    undo = first.json()["links"]["undo"]
    assert {client.post(undo, headers={"Idempotency-Key": "b"}).status_code for _ in range(2)} == {201}
    assert len(client.get(REVISIONS).json()["data"]) == 2


def test_a_history_is_that_of_its_data_set(client, act):
    revision = act("exclude", filter={}).json()
    client.post("/v1/datasets", json={"name": "other"})
    assert client.get(f"/v1/datasets/other/revisions/{revision['id']}").status_code == 404
    assert client.post(f"/v1/datasets/other/revisions/{revision['id']}/undo").status_code == 404


def test_what_is_excluded_is_neither_learnt_from_nor_frozen(client, act, services, freeze):
    chosen = [image["id"] for image in images(client, label="eel")]
    act("exclude", images=chosen[:1])
    act("crop", crop=[2, 2, 20, 20], images=chosen[1:2])
    frozen = client.post("/v1/datasets/sushi/snapshots").json()
    lines = client.get(frozen["links"]["export"], params={"format": "jsonl"}).text.splitlines()
    assert (frozen["images"], len(lines)) == (7, 7)
    job = client.post("/v1/trainings", json={"dataset": "sushi", "recipe": {"epochs": 1}})
    assert job.status_code == 202, job.text
    freeze(job.json()["id"])
    newest = client.get("/v1/datasets/sushi/snapshots").json()["data"][0]
    assert newest["images"] == 7
    table = client.get(f"/v1/snapshots/{newest['id']}/export", params={"format": "csv"}).text
    assert "2,2,20,20" in table
    assert chosen[0] not in table


def test_the_history_of_one_image(client, dataset):
    first, second = client.get(f"/v1/datasets/{dataset}/images").json()["data"][:2]
    place = f"/v1/datasets/{dataset}/revisions"
    client.post(place, json={"act": "relabel", "label": "shark", "images": [first["id"], second["id"]]})
    client.post(place, json={"act": "exclude", "images": [first["id"]]})
    changes = client.get(f"/v1/images/{first['id']}/changes").json()["data"]
    told = [(each["revision"]["act"], each["before"], each["after"]) for each in changes]
    assert told[:2] == [("exclude", False, True), ("relabel", first["label"], "shark")]
    assert len(client.get(f"/v1/images/{second['id']}/changes").json()["data"]) == len(told) - 1
    assert client.get("/v1/images/nope/changes").status_code == 404
