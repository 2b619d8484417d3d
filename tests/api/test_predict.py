"""Predictions that a worker answers on its lane: the same rows, history and answers as by the queue."""

import struct
import threading
from datetime import datetime

import pytest

from api.predict_rpc import PredictClient
from db.jobs import jobs, workers
from tests.api.conftest import as_files, picture, work
from tsukiji.kernel.predict_rpc import RpcAddress
from worker.inference.predict_rpc import PredictServer, Refused

SHARES = (0.1, 0.2, 0.7)


@pytest.fixture
def predict_server(services):
    """A worker that finds tuna in everything that is a picture."""
    predict_server = PredictServer("127.0.0.1")
    predict_server.serve(tuna)
    report(services, predict_server.address("worker-1"))
    yield predict_server
    predict_server.close()


def report(services, address):
    with services.database.transaction() as session:
        workers.report(session, address.worker, "infer", None, address)


def tuna(_model, files):
    error = {"code": "not_an_image", "title": "no", "detail": "no picture"}
    found = {"label": "tuna", "score": 0.7, "known_score": None, "width": 24, "height": 20}
    rows = [dict(found) if data.startswith(b"\x89PNG") else {"error": error} for data in files]
    return {"rows": rows}, [struct.pack("<3f", *SHARES) for row in rows if "error" not in row]


def predict(client, model, *files, **options):
    return client.post(f"/v1/models/{model}/predict", files=as_files(files), **options)


def story(services, job_id):
    with services.database.reading() as session:
        return [(line.event, line.data["status"]) for line in jobs.events(session, job_id)]


def comparable(job):
    """What does not tell one job from another of the same pictures."""
    own = {"id", "links", "created_at", "started_at", "finished_at", "deadline_at", "results_expire_at"}
    return {name: value for name, value in job.items() if name not in own}


def test_the_answer_the_rows_and_the_history_are_those_of_the_queue(client, services, model, predict_server):
    files = [picture((1, 2, 3)), b"no picture", picture((4, 5, 6))]
    answer = predict(client, "production", *files, data={"top_k": "2", "threshold": "0.5"})
    assert answer.status_code == 200
    assert services.notifier.sent == [], "nobody was woken"
    direct = answer.json()
    headers = {"Prefer": "respond-async"}
    queued = predict(client, "production", *files, data={"top_k": "2", "threshold": "0.5"}, headers=headers)
    assert queued.status_code == 202
    work(services, SHARES, errors={1})
    later = client.get(queued.headers["location"]).json()
    assert comparable(later)["counts"] == comparable(direct)["counts"]
    for mine, other in zip(direct["result"]["predictions"], later["result"]["predictions"], strict=True):
        assert mine | {"error": None, "job_id": None} == other | {"error": None, "job_id": None}
        assert (mine["error"] is None) == (other["error"] is None)
    ignore = {"result": None}
    assert comparable(direct) | ignore == comparable(later) | ignore
    assert story(services, direct["id"]) == story(services, later["id"])
    assert client.get(direct["links"]["self"]).json() == direct, "the row says the same afterwards"
    assert direct["result"]["predictions"][0]["image"]["sha256"]


def test_one_picture_as_the_raw_body(client, model, predict_server):
    headers = {"Content-Type": "image/png"}
    answer = client.post(f"/v1/models/{model}/predict?top_k=1", content=picture(), headers=headers)
    (found,) = answer.json()["result"]["predictions"]
    assert (answer.status_code, found["custom_id"], found["label"]) == (200, "image", "tuna")


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/x-www-form-urlencoded", "text/plain", None])
def test_a_picture_is_known_by_its_bytes(client, model, predict_server, kind):
    place, headers = f"/v1/models/{model}/predict", {"Content-Type": kind} if kind else {}
    answer = client.post(place, content=picture(), headers=headers)
    assert answer.json()["result"]["predictions"][0]["status"] == "succeeded"
    heic = client.post(place, content=bytes(4) + b"ftypheic" + bytes(99), headers=headers)
    assert heic.json()["status"] == "failed", "the picture's own error says what is not taken"
    answer = client.post(place, content=b"no picture", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_no_readable_picture_is_a_failed_prediction_as_ever(client, model, predict_server):
    job = predict(client, model, b"no picture").json()
    assert (job["status"], job["error"]["code"], job["counts"]["errored"]) == ("failed", "no_image_succeeded", 1)


def test_a_picture_over_the_limit_costs_only_itself(client, model, predict_server):
    job = predict(client, model, b"x" * 250_000, picture()).json()
    first, second = job["result"]["predictions"]
    assert (first["error"]["code"], second["label"]) == ("too_many_bytes", "tuna")


def test_the_same_request_again_is_the_same_prediction(client, services, model, predict_server):
    headers = {"Idempotency-Key": "once"}
    first = predict(client, "production", picture(), headers=headers)
    again = predict(client, "production", picture(), headers=headers)
    predict_server.serve(gone)
    queued = predict(client, "production", picture(), headers=headers)
    assert first.json() == again.json() == queued.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == queued.headers["idempotency-replayed"] == "true"
    other = predict(client, "production", picture((9, 9, 9)), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_at_once_with_the_same_key_makes_one(client, model, predict_server):
    answers = []

    def send():
        answers.append(predict(client, model, picture(), headers={"Idempotency-Key": "race"}))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1


def gone(_model, _files):
    raise ConnectionResetError  # the line ends in the midst: as when the worker is killed


def cold(_model, _files):
    raise Refused("cold")


@pytest.mark.parametrize("reply", [gone, cold, lambda *_: ({"rows": [{}]}, []), lambda *_: ({"rows": []}, [])])
def test_what_no_lane_answers_goes_by_the_queue(client, services, model, predict_server, reply):
    predict_server.serve(reply)
    answer = predict(client, model, picture(), headers={"Prefer": "wait=0.1"})
    assert answer.status_code == 202
    assert services.notifier.sent == ["infer"]
    work(services)
    assert client.get(answer.headers["location"]).json()["result"]["predictions"][0]["label"] == "tuna"


def test_a_lane_out_of_reach_is_told_once_and_not_asked_again(client, services, model, predict_server, logged):
    address = predict_server.address("worker-1")
    report(services, RpcAddress(address.worker, address.host, 1, address.secret))
    services.predict_client = PredictClient()
    for _ in range(3):
        predict(client, model, picture(), headers={"Prefer": "wait=0.05"})
    assert [line["event"] for line in logged].count("lane_unreachable") == 1


def test_a_model_that_is_deleted_meanwhile_leaves_nothing(client, services, model, predict_server):
    def forget(name, files):
        with services.database.transaction() as session:
            session.connection().exec_driver_sql("DELETE FROM aliases")
            session.connection().exec_driver_sql("DELETE FROM models")
        return tuna(name, files)

    predict_server.serve(forget)
    answer = predict(client, model, picture())
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert client.get("/v1/jobs").json()["data"] == []


# --- not recorded ----------------------------------------------------------------------------------------------------


def unrecorded(client, model, *files, **options):
    return client.post(f"/v1/models/{model}/predict?record=false", files=as_files(files), **options)


def test_what_is_not_recorded_is_the_same_answer_and_leaves_nothing(client, services, model, predict_server):
    files = [picture((1, 2, 3)), b"no picture", b"x" * 250_000, picture((4, 5, 6))]
    options = {"top_k": "2", "threshold": "0.75"}
    before = set(services.store.blobs)
    answer = unrecorded(client, "production", *files, data=options)
    assert (answer.status_code, answer.json()["model"]) == (200, model)
    assert services.store.blobs.keys() == before, "no picture is in the store"
    assert client.get("/v1/jobs").json()["data"] == []
    recorded = predict(client, "production", *files, data=options).json()["result"]["predictions"]
    assert [one | {"job_id": None} for one in recorded] == answer.json()["predictions"]
    assert recorded[0]["abstain_reason"] == "below_threshold"


def test_one_picture_as_the_raw_body_is_not_recorded(client, services, model, predict_server):
    place, headers = f"/v1/models/{model}/predict?record=false&top_k=1", {"Content-Type": "image/png"}
    (found,) = client.post(place, content=picture(), headers=headers).json()["predictions"]
    assert (found["custom_id"], found["label"], len(found["scores"])) == ("image", "tuna", 1)
    assert client.post(place.replace("false", "maybe"), content=picture(), headers=headers).status_code == 422


def test_what_was_not_to_be_recorded_but_had_to_wait_is_deleted_after_an_hour(client, services, model, predict_server):
    predict_server.serve(cold)
    answer = unrecorded(client, model, picture(), headers={"Prefer": "wait=0.05"}, data={"retention_days": "30"})
    assert answer.status_code == 202
    work(services)
    job = client.get(answer.headers["location"]).json()
    ended, expires = (datetime.fromisoformat(job[name]) for name in ("finished_at", "results_expire_at"))
    assert 3599 < (expires - ended).total_seconds() < 3601
