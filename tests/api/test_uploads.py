"""Uploads in parts: what is confirmed stays, what is wrong is refused, what is whole can be used."""

import base64
import hashlib
import threading

import pytest
from sqlalchemy import update

from db import keys
from db.clock import now
from db.models import Blob, Upload, UploadPart
from tests.api.conftest import archive, limited, picture
from tsukiji.errors import StorageFull
from worker.dispatcher import clean_uploads

DATA = bytes(range(256)) * 10
PART = 1000


@pytest.fixture(autouse=True)
def small_parts(services):
    services.settings = limited(services.settings, upload_part_bytes=PART, archive_bytes=10_000)


def sha256_of(data):
    return hashlib.sha256(data).hexdigest()


def digest(data):
    return {"Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"}


def begin(client, data=DATA, **members):
    wish = {"name": "pets.zip", "bytes": len(data), "sha256": sha256_of(data)} | members
    return client.post("/v1/uploads", json=wish)


def put(client, upload, number, data=DATA, headers=None, part=None):
    content = data[(number - 1) * PART : number * PART] if part is None else part
    place = f"/v1/uploads/{upload['id']}/parts/{number}"
    return client.put(place, content=content, headers=digest(content) if headers is None else headers)


def complete(client, upload):
    return client.post(f"/v1/uploads/{upload['id']}/complete")


def sent(client, data=DATA):
    """A completed upload."""
    upload = begin(client, data).json()
    for number in range(1, upload["parts_total"] + 1):
        assert put(client, upload, number, data).status_code == 200
    answer = complete(client, upload)
    assert answer.status_code == 200
    return answer.json()


def test_from_the_beginning_to_the_end(client, services):
    answer = begin(client)
    upload = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/uploads/{upload['id']}")
    assert (upload["status"], upload["part_bytes"], upload["parts_total"]) == ("open", PART, 3)
    for number in (3, 1, 2):
        assert put(client, upload, number).json()["number"] == number
    there = client.get(upload["links"]["self"]).json()
    assert [(part["number"], part["bytes"]) for part in there["parts"]] == [(1, 1000), (2, 1000), (3, 560)]
    assert there["bytes_confirmed"] == len(DATA)
    done = complete(client, upload).json()
    assert (done["status"], done["sha256"]) == ("completed", sha256_of(DATA))
    assert services.store.read(done["sha256"]) == DATA
    assert services.store.parts == {}
    assert complete(client, upload).json() == done, "completing twice is completing once"


def test_the_same_hash_and_size_find_what_was_begun(client, start, services):
    upload = begin(client).json()
    put(client, upload, 2)
    again = begin(client, name="other.zip")
    assert (again.status_code, again.json()["id"]) == (200, upload["id"])
    assert [part["number"] for part in again.json()["parts"]] == [2]
    assert begin(client, sha256=None).json()["id"] != upload["id"], "without a hash nothing is recognised"
    done = sent(client)
    with services.database.transaction() as session:
        other = start(keys.create(session, "other")[1])
    found = begin(other).json()
    assert (found["id"], found["status"]) == (done["id"], "completed")


def test_without_a_hash_the_service_computes_it(client):
    upload = begin(client, b"abc", sha256=None).json()
    assert upload["sha256"] is None
    put(client, upload, 1, b"abc")
    assert complete(client, upload).json()["sha256"] == sha256_of(b"abc")


def test_one_key_makes_one_upload(client):
    wish = {"bytes": 5}
    first, second = (client.post("/v1/uploads", json=wish, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["idempotency-replayed"] == "true"


def test_a_part_with_another_hash_is_not_confirmed(client, services):
    upload = begin(client).json()
    answer = put(client, upload, 1, headers=digest(b"other"))
    assert (answer.status_code, answer.json()["code"]) == (422, "digest_mismatch")
    assert client.get(upload["links"]["self"]).json()["parts"] == []
    assert services.store.parts == {}


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Digest": "sha-256=:AAAA:"}, {"Content-Digest": "md5=:" + "A" * 43 + "=:"}]
)
def test_a_part_comes_with_its_hash(client, headers):
    answer = put(client, begin(client).json(), 1, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "Content-Digest")


def test_the_hash_may_stand_among_others_and_in_either_header(client):
    upload = begin(client).json()
    value = digest(DATA[:PART])["Content-Digest"]
    assert put(client, upload, 1, headers={"Repr-Digest": f"sha-512=:AAAA:, {value}"}).status_code == 200


@pytest.mark.parametrize("number", [0, 4, -1, 10**30])
def test_parts_out_of_range(client, number):
    answer = put(client, begin(client).json(), number, part=DATA[:PART])
    assert (answer.status_code, answer.json()["code"]) == (422, "part_out_of_range")


def pieces(data):
    yield data


@pytest.mark.parametrize(("number", "size"), [(1, 999), (3, 1000), (3, 559), (2, 0)])
@pytest.mark.parametrize("announced", [True, False])
def test_parts_of_another_size(client, number, size, announced):
    upload = begin(client).json()
    content = DATA[:size]
    place = f"/v1/uploads/{upload['id']}/parts/{number}"
    answer = client.put(place, content=content if announced else pieces(content), headers=digest(content))
    assert (answer.status_code, answer.json()["code"]) == (422, "part_size_wrong")


def test_a_part_that_goes_on_is_cut_off(client, services):
    upload = begin(client).json()
    endless = (bytes(2**20) for _ in range(17))  # more than any part of the default size
    answer = client.put(f"/v1/uploads/{upload['id']}/parts/1", content=endless, headers=digest(DATA[:PART]))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_part_sent_twice_is_kept_once(client, services):
    upload = begin(client).json()
    first = put(client, upload, 1)
    services.store.parts[upload["id"]][1] = b"not touched again"
    assert put(client, upload, 1).json() == first.json()
    assert services.store.parts[upload["id"]][1] == b"not touched again"


def test_what_is_missing_is_listed(client):
    upload = begin(client).json()
    put(client, upload, 2)
    answer = complete(client, upload)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_incomplete")
    assert answer.json()["missing"] == [1, 3]
    assert answer.headers["x-should-retry"] == "false"


def test_a_whole_with_another_hash_than_announced_is_given_up(client, services):
    upload = begin(client, sha256="0" * 64).json()
    for number in (1, 2, 3):
        put(client, upload, number)
    answer = complete(client, upload)
    assert (answer.status_code, answer.json()["code"]) == (422, "digest_mismatch")
    assert client.get(upload["links"]["self"]).status_code == 404
    assert services.store.parts == services.store.blobs == {}


def test_a_complete_upload_takes_no_other_parts(client, services):
    upload = sent(client)
    assert put(client, upload, 1).status_code == 200, "the same part again is no other"
    answer = put(client, upload, 1, part=bytes(PART))
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_closed")
    assert services.store.parts == {}


def test_deleting_gives_it_up(client, services):
    upload = begin(client).json()
    put(client, upload, 1)
    assert client.delete(f"/v1/uploads/{upload['id']}").status_code == 204
    assert services.store.parts == {}
    assert put(client, upload, 2).status_code == 404
    assert client.delete(f"/v1/uploads/{upload['id']}").status_code == 404


def test_a_part_that_arrives_as_the_upload_is_deleted_leaves_nothing(client, services, monkeypatch):
    upload = begin(client).json()
    keep = services.store.put_part

    def put_late(*arguments):
        assert client.delete(f"/v1/uploads/{upload['id']}").status_code == 204
        return keep(*arguments)

    monkeypatch.setattr(services.store, "put_part", put_late)
    assert put(client, upload, 1).status_code == 404
    assert services.store.parts == {}


def test_two_complete_it_at_once(client, services, monkeypatch):
    upload = begin(client).json()
    for number in (1, 2, 3):
        put(client, upload, number)
    both, join = threading.Barrier(2), services.store.join

    def join_together(*arguments):
        both.wait(10)
        return join(*arguments)

    monkeypatch.setattr(services.store, "join", join_together)
    found = []
    threads = [threading.Thread(target=lambda: found.append(complete(client, upload))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in found] == [200, 200]


def test_the_rest_of_a_crash_between_join_and_row_is_taken_up(client, services, monkeypatch):
    upload = begin(client).json()
    for number in (1, 2, 3):
        put(client, upload, number)
    with monkeypatch.context() as broken:
        broken.setattr("db.jobs.uploads.complete", lambda *_: 1 / 0)
        assert complete(client, upload).status_code == 500
    assert client.get(upload["links"]["self"]).json()["status"] == "open"
    assert complete(client, upload).json()["status"] == "completed"


def test_a_full_store_confirms_nothing(client, services, monkeypatch):
    def full(*_):
        raise StorageFull

    upload = begin(client).json()
    monkeypatch.setattr(services.store, "put_part", full)
    assert put(client, upload, 1).status_code == 507
    assert client.get(upload["links"]["self"]).json()["parts"] == []


def test_too_large_is_refused_before_any_byte(client):
    answer = client.post("/v1/uploads", json={"bytes": 10_001})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert client.post("/v1/uploads", json={"bytes": 0}).status_code == 422


def test_unfinished_uploads_are_limited(client, services):
    services.settings = limited(services.settings, uploads=1)
    upload = begin(client).json()
    answer = begin(client, b"other")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_uploads")
    assert begin(client).status_code == 200, "what is there is not one more"
    client.delete(f"/v1/uploads/{upload['id']}")
    assert begin(client, b"other").status_code == 201
    services.settings = limited(services.settings, uploads=9, all_uploads=1)
    assert "All keys" in begin(client, b"third").json()["detail"]


def test_uploads_are_listed_without_their_parts(client):
    done, other = sent(client), begin(client, b"other").json()
    listed = client.get("/v1/uploads").json()["data"]
    assert [(row["id"], row["bytes_confirmed"], row["parts"]) for row in listed] == [
        (other["id"], 0, []),
        (done["id"], len(DATA), []),
    ]


def test_what_nobody_goes_on_with_is_deleted(client, services):
    upload, kept = begin(client).json(), sent(client, b"kept")
    put(client, upload, 1)
    with services.database.transaction() as session:
        session.execute(update(Upload).where(Upload.id == upload["id"]).values(expires_at=now(-1)))
    assert put(client, upload, 2).status_code == 404
    clean_uploads(services)
    assert services.store.parts == {}
    with services.database.reading() as session:
        assert [row.id for row in session.query(Upload)] == [kept["id"]]
        assert {row.upload_id for row in session.query(UploadPart)} == {kept["id"]}


def test_a_stranger_reaches_none(client, stranger):
    upload = begin(client).json()
    assert begin(stranger).status_code == 401
    assert put(stranger, upload, 1).status_code == 401
    assert complete(stranger, upload).status_code == 401


# --- what they are for -----------------------------------------------------------------------------------------------


def test_an_upload_becomes_a_batch_as_often_as_one_likes(client, services, model):
    upload = sent(client, archive({"1.png": picture()}))
    body = {"model": model, "input": {"upload": upload["id"]}}
    jobs = [client.post("/v1/batches", json=body) for _ in range(2)]
    assert [answer.status_code for answer in jobs] == [202, 202]
    assert jobs[0].json()["request"]["input"] == {"type": "archive", "filename": "pets.zip", "upload": upload["id"]}
    assert len(services.notifier.sent) == 2
    assert client.delete(f"/v1/uploads/{upload['id']}").status_code == 204
    with services.database.reading() as session:
        assert session.get(Blob, upload["sha256"]), "the jobs need it"


def test_an_upload_becomes_an_import(client, services, dataset):
    upload = sent(client, archive({"eel/1.png": picture()}))
    headers = {"Idempotency-Key": "k"}
    place = f"/v1/datasets/{dataset}/imports"
    first, again = (client.post(place, json={"upload": upload["id"]}, headers=headers) for _ in range(2))
    assert first.status_code == 202
    assert first.json()["request"] == {"dataset": dataset, "filename": "pets.zip"}
    assert first.json()["id"] == again.json()["id"]


def test_what_is_not_whole_cannot_be_used(client, model, dataset):
    upload = begin(client).json()
    batch = {"model": model, "input": {"upload": upload["id"]}}
    for answer in (
        client.post("/v1/batches", json=batch),
        client.post(f"/v1/datasets/{dataset}/imports", json={"upload": upload["id"]}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "upload_incomplete")
    batch["input"]["upload"] = "upl_no"
    assert client.post("/v1/batches", json=batch).status_code == 404


@pytest.mark.parametrize("source", [{}, {"dataset": "a", "upload": "b"}, {"upload": "b", "split": "valid"}])
def test_a_batch_has_one_input(client, model, source):
    answer = client.post("/v1/batches", json={"model": model, "input": source})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/input")
