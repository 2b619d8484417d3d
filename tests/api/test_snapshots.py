"""Snapshots on request, and what lies between two of them."""

from tests.api.conftest import as_files, pictures


def freeze(client):
    return client.post("/v1/datasets/sushi/snapshots")


def act(client, kind, **wanted):
    answer = client.post("/v1/datasets/sushi/revisions", json={"act": kind, **wanted})
    assert answer.status_code == 201, answer.text
    return answer.json()


def ids(client, **wanted):
    return [image["id"] for image in client.get("/v1/datasets/sushi/images", params=wanted).json()["data"]]


def compare(client, a, b, **wanted):
    return client.get("/v1/snapshots/compare", params={"a": a, "b": b, **wanted}).json()


def test_freezing_what_has_not_changed_gives_the_same_snapshot(client, dataset):
    first = freeze(client)
    assert first.status_code == 201
    assert first.headers["location"] == f"/v1/snapshots/{first.json()['id']}"
    assert first.json()["images"] == 8
    again = freeze(client)
    assert (again.status_code, again.json()) == (200, first.json())
    undone = act(client, "exclude", filter={"label": "eel"})
    assert freeze(client).json()["sha256"] != first.json()["sha256"]
    client.post(undone["links"]["undo"])
    assert freeze(client).json() == first.json(), "the undo was exact"
    assert len(client.get("/v1/datasets/sushi/snapshots").json()["data"]) == 2
    assert client.get(f"/v1/snapshots/{first.json()['id']}").json() == first.json()


def test_comparison_counts_and_lists(client, dataset):
    a = freeze(client).json()["id"]
    eels, tunas = ids(client, label="eel"), ids(client, label="tuna")
    act(client, "exclude", images=eels[:2])
    act(client, "relabel", label="squid", images=tunas[:2])
    act(client, "split", split="test", images=tunas[:1])
    act(client, "crop", crop=[0, 0, 9, 9], images=eels[2:3])
    client.post("/v1/datasets/sushi/images", files=as_files(pictures(1, 99)), data={"label": "octopus"})
    b = freeze(client).json()["id"]
    found = compare(client, a, b)
    counts = {name: found[name] for name in ("added", "removed", "relabelled", "resplit", "recropped", "unchanged")}
    assert counts == {"added": 1, "removed": 2, "relabelled": 2, "resplit": 1, "recropped": 1, "unchanged": 3}
    assert (found["equal"], len(found["data"])) == (False, 6)
    both = next(row for row in found["data"] if row["image_id"] == tunas[0])
    assert both["changes"] == ["relabelled", "resplit"]
    assert (both["label_a"], both["label_b"], both["split_a"], both["split_b"]) == ("tuna", "squid", None, "test")
    assert [row["image_id"] for row in compare(client, a, b, change="recropped")["data"]] == [eels[2]]
    turned = compare(client, b, a)
    assert (turned["added"], turned["removed"]) == (2, 1)


def test_comparison_comes_by_pages(client, dataset):
    a = freeze(client).json()["id"]
    act(client, "relabel", label="fish", filter={})
    b = freeze(client).json()["id"]
    seen, cursor = [], None
    while True:
        page = compare(client, a, b, limit=3, **({"cursor": cursor} if cursor else {}))
        assert page["relabelled"] == 8
        seen += [row["image_id"] for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(ids(client))


def test_equal_snapshots_and_missing_ones(client, dataset):
    a = freeze(client).json()["id"]
    assert compare(client, a, a)["equal"]
    assert compare(client, a, a)["data"] == []
    assert client.get("/v1/snapshots/compare", params={"a": a, "b": "snp_nobody"}).status_code == 404
    assert client.get("/v1/snapshots/compare", params={"a": a}).status_code == 422
