"""Batches and predictions: what goes in, what comes out, and when."""

import csv
import io
import json
import threading
from datetime import datetime

import pytest
from sqlalchemy import update

from db import keys
from db.clock import now
from db.jobs import jobs
from db.models import Job
from tests.api.conftest import archive, as_files, limited, picture, pictures, work
from tests.api.test_jobs import ZIP
from worker.dispatcher import expire


@pytest.fixture
def batch(client, services, model):
    """Five files in chunks of two."""
    services.settings = services.settings.model_copy(
        update={"jobs": services.settings.jobs.model_copy(update={"chunk_images": 2})}
    )
    files = as_files(pictures(5, 40))
    answer = client.post("/v1/batches", files=files, data={"model": "production", "top_k": "2", "threshold": "0.5"})
    assert answer.status_code == 202
    return answer.json()


def lines(answer):
    return [json.loads(line) for line in answer.text.splitlines()]


def test_files_become_chunks(services, batch, model):
    assert batch["request"]["model"] == model
    assert (batch["request"]["top_k"], batch["request"]["threshold"]) == (2, 0.5)
    assert batch["counts"] == {"total": 5, "queued": 5, "succeeded": 0, "errored": 0, "cancelled": 0, "expired": 0}
    assert services.notifier.sent == ["infer"], "one message, for one worker"


def test_progress_is_no_share_of_a_total_that_still_grows(client, services, model):
    answer = client.post(f"/v1/batches?model={model}", content=archive({"a.png": picture()}), headers=ZIP)
    read_so_far = {"status": "running", "phase": "reading", "total": 4, "items_total": 4, "completed": 3}
    with services.database.transaction() as session:
        session.execute(update(Job).where(Job.id == answer.json()["id"]).values(**read_so_far))
    seen = client.get(answer.json()["links"]["self"]).json()
    assert (seen["progress"]["fraction"], seen["progress"]["completed"], seen["progress"]["total"]) == (0, 3, 4)


def test_results_are_read_while_it_runs(client, services, batch):
    work(services, chunks=1)
    assert client.get(batch["links"]["self"]).json()["status"] == "running"
    part = client.get(batch["links"]["results"])
    assert part.headers["content-type"].startswith("application/jsonl")
    assert [line["seq"] for line in lines(part)] == [0, 1]
    work(services, errors={4})
    done = client.get(batch["links"]["self"]).json()
    assert (done["status"], done["progress"]["fraction"]) == ("succeeded", 1.0)
    assert done["counts"] == {"total": 5, "queued": 0, "succeeded": 4, "errored": 1, "cancelled": 0, "expired": 0}
    rows = lines(client.get(batch["links"]["results"]))
    assert [row["custom_id"] for row in rows] == [f"{number}.png" for number in range(5)]
    assert rows[0]["decision"] == rows[0]["label"] == "tuna"
    assert [score["label"] for score in rows[0]["scores"]] == ["tuna", "squid"]
    assert rows[0]["scores"][0]["score"] == pytest.approx(0.7)
    assert rows[0]["image"]["width"] == 24
    assert rows[4]["error"]["code"] == "truncated"


def test_below_the_threshold_is_none_of_these(client, services, batch):
    work(services, probabilities=(0.2, 0.35, 0.45))
    row = lines(client.get(batch["links"]["results"]))[0]
    assert (row["label"], row["decision"], row["abstained"]) == ("tuna", None, True)
    assert row["abstain_reason"] == "below_threshold"


def test_results_as_a_table(client, services, model):
    custom_ids = ["=cmd()", "b", "-c"]
    body = {"model": model, "custom_ids": custom_ids, "top_k": "2"}
    job = client.post("/v1/batches", files=as_files(pictures(3, 50)), data=body).json()
    work(services, errors={1})
    answer = client.get(job["links"]["results"], headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    columns = "custom_id,status,decision,best_label,score,known_score,abstain_reason,true_label,error,width,height"
    assert ",".join(rows[0]) == f"{columns},label_1,score_1,label_2,score_2"
    assert [row["custom_id"] for row in rows] == ["'=cmd()", "b", "'-c"]
    assert (rows[0]["label_2"], rows[1]["status"], rows[1]["error"]) == ("squid", "errored", "truncated")


def test_items_by_status(client, services, batch):
    work(services, chunks=1, errors={1})
    seqs = {
        status: [row["seq"] for row in client.get(batch["links"]["items"], params={"status": status}).json()["data"]]
        for status in ("queued", "succeeded", "errored", "cancelled")
    }
    assert seqs == {"queued": [2, 3, 4], "succeeded": [0], "errored": [1], "cancelled": []}
    client.post(batch["links"]["cancel"])
    stopped = client.get(batch["links"]["self"]).json()
    assert stopped["counts"] == {"total": 5, "queued": 0, "succeeded": 1, "errored": 1, "cancelled": 3, "expired": 0}
    found = client.get(batch["links"]["items"], params={"status": "cancelled"}).json()["data"]
    assert [(row["seq"], row["status"]) for row in found] == [(2, "cancelled"), (3, "cancelled"), (4, "cancelled")]
    assert len(lines(client.get(batch["links"]["results"]))) == 5


def test_items_by_pages(client, services, batch):
    first = client.get(batch["links"]["items"], params={"limit": 3}).json()
    rest = client.get(batch["links"]["items"], params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [row["seq"] for row in first["data"] + rest["data"]] == [0, 1, 2, 3, 4]


def test_names_that_occur_twice_are_listed(client, model):
    body = {"model": model, "custom_ids": ["a", "b", "a"]}
    answer = client.post("/v1/batches", files=as_files(pictures(3)), data=body)
    assert answer.status_code == 422
    assert "'a'" in answer.json()["detail"]
    assert "'b'" not in answer.json()["detail"]
    short = client.post("/v1/batches", files=as_files(pictures(3)), data={"model": model, "custom_ids": ["a"]})
    assert short.json()["errors"][0]["pointer"] == "#/custom_ids"


def test_dataset_is_planned_by_a_worker(client, services, dataset, model):
    body = {"model": model, "input": {"dataset": "sushi", "split": "valid"}}
    answer = client.post("/v1/batches", json=body)
    assert answer.status_code == 202
    assert answer.json()["request"]["input"] == {"type": "dataset", "dataset": dataset, "split": "valid"}
    assert services.notifier.sent == ["intake"]
    assert client.get("/v1/batches").json()["data"][0]["id"] == answer.json()["id"]


def test_zip_is_planned_by_a_worker(client, services, model):
    body = archive({"1.png": picture()})
    answer = client.post("/v1/batches", params={"model": "sushi", "top_k": 5}, content=body, headers=ZIP)
    assert answer.status_code == 202
    assert answer.json()["request"]["top_k"] == 5
    assert answer.json()["request"]["input"] == {"type": "archive", "filename": None}
    assert services.notifier.sent == ["intake"]


def test_wrong_options_name_their_place(client, dataset, model):
    in_query = client.post("/v1/batches", params={"model": model, "top_k": 0}, content=archive({}), headers=ZIP)
    assert in_query.json()["errors"][0]["parameter"] == "top_k"
    in_form = client.post("/v1/batches", files=as_files(pictures(1)), data={"model": model, "threshold": "2"})
    assert in_form.json()["errors"][0]["pointer"] == "#/threshold"
    in_json = client.post("/v1/batches", json={"model": model, "input": {"dataset": dataset, "split": "all"}})
    assert in_json.json()["errors"][0]["pointer"] == "#/input/split"
    assert client.post("/v1/batches", json={"model": "no", "input": {"dataset": dataset}}).status_code == 404


def test_batches_are_limited_too(client, services, batch, model):
    services.settings = limited(services.settings, queued_batches=1)
    answer = client.post("/v1/batches", files=as_files(pictures(1)), data={"model": model})
    assert answer.json()["code"] == "queue_full"


# --- predict ---------------------------------------------------------------------------------------------------------


class Worker(threading.Thread):
    """Works on the chunks as soon as they are sent."""

    def __init__(self, services, **options):
        super().__init__(daemon=True)
        self.services, self.options, self.stop = services, options, threading.Event()

    def run(self):
        while not self.stop.wait(0.05):
            work(self.services, **self.options)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()


def test_predict_answers_at_once(client, services, model):
    with Worker(services):
        answer = client.post("/v1/models/production/predict?top_k=1", files=as_files(pictures(2)))
    assert answer.status_code == 200
    assert [row["custom_id"] for row in answer.json()["result"]["predictions"]] == ["0.png", "1.png"]
    assert len(answer.json()["result"]["predictions"][0]["scores"]) == 1
    with services.database.reading() as session:
        assert jobs.find(session, answer.json()["id"]).priority == 5


def test_predict_takes_one_raw_picture(client, services, model):
    with Worker(services):
        answer = client.post(
            "/v1/models/sushi/predict",
            params={"threshold": 0.9},
            content=picture(),
            headers={"Content-Type": "image/png", "Prefer": "wait=20"},
        )
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.json()["result"]["predictions"][0]["decision"] is None


def test_predict_that_takes_long_is_polled(client, services, model):
    answer = client.post(f"/v1/models/{model}/predict", files=as_files([picture()]), headers={"Prefer": "wait=0.1"})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == job["links"]["self"] == f"/v1/predictions/{job['id']}"
    assert answer.headers["retry-after"]
    assert job["result"] is None
    work(services)
    assert client.get(job["links"]["self"]).json()["result"]["predictions"][0]["label"] == "tuna"


def test_bad_picture_is_told_in_its_place(client, services, model):
    with Worker(services):
        answer = client.post(f"/v1/models/{model}/predict", files=as_files([picture(), bytes(200_001)]))
    rows = answer.json()["result"]["predictions"]
    assert [row["status"] for row in rows] == ["succeeded", "errored"]
    assert rows[1]["error"]["code"] == "too_many_bytes"


def test_predict_with_an_unknown_model_or_option(client, model):
    assert client.post("/v1/models/nope/predict", files=as_files([picture()])).status_code == 404
    answer = client.post(f"/v1/models/{model}/predict", files=as_files([picture()]), data={"topk": "1"})
    assert answer.json()["errors"][0]["pointer"] == "#/topk"


# --- deadlines and full queues ---------------------------------------------------------------------------------------


def test_what_is_not_done_by_the_deadline_expires_and_the_rest_is_kept(client, services, model):
    services.settings = services.settings.model_copy(
        update={"jobs": services.settings.jobs.model_copy(update={"chunk_images": 2})}
    )
    form = {"model": "production", "deadline_seconds": "3600"}
    batch = client.post("/v1/batches", files=as_files(pictures(5, 40)), data=form).json()
    asked = datetime.fromisoformat(batch["deadline_at"]) - datetime.fromisoformat(batch["created_at"])
    assert abs(asked.total_seconds() - 3600) < 60
    work(services, chunks=1)
    with services.database.transaction() as session:
        session.execute(update(Job).where(Job.id == batch["id"]).values(deadline_at=now(-1)))
    expire(services)
    done = client.get(batch["links"]["self"]).json()
    assert (done["status"], done["done"], done["error"]["code"]) == ("expired", True, "deadline_exceeded")
    assert done["counts"] == {"total": 5, "queued": 0, "succeeded": 2, "errored": 0, "cancelled": 0, "expired": 3}
    items = f"{batch['links']['items']}?status="
    assert [row["seq"] for row in client.get(items + "succeeded").json()["data"]] == [0, 1]
    assert [row["seq"] for row in client.get(items + "expired").json()["data"]] == [2, 3, 4]
    assert client.get(items + "queued").json()["data"] == []
    assert client.post(batch["links"]["cancel"]).json()["status"] == "expired", "an end is final"


def test_a_full_queue_says_who_waits_where(client, start, services, batch, model):
    def ask(caller):
        return caller.post("/v1/batches", files=as_files(pictures(1)), data={"model": model})

    services.settings = limited(services.settings, queued_batches=1)
    mine = ask(client).json()
    assert (mine["unfinished"], mine["limit"], mine["oldest"], mine["position"]) == (1, 1, batch["id"], 0)
    with services.database.transaction() as session:
        other = start(keys.create(session, "other")[1])
    assert ask(other).status_code == 202, "one key's jobs do not fill another's queue"
    services.settings = limited(services.settings, queued_batches=10, all_queued_batches=2)
    full = ask(other)
    assert (full.status_code, full.json()["code"], full.json()["unfinished"]) == (429, "queue_full", 2)
    assert full.json()["position"] == 1, "one batch starts before the caller's"


@pytest.mark.parametrize("kind", ["multipart", "zip", "json"])
def test_a_priority_goes_with_every_kind_of_batch(client, services, model, dataset, kind):
    options = {"model": model, "priority": "4"}
    if kind == "multipart":
        answer = client.post("/v1/batches", files=as_files(pictures(1)), data=options)
    elif kind == "zip":
        body = archive({"1.png": picture()})
        answer = client.post("/v1/batches", params=options, content=body, headers=ZIP)
    else:
        answer = client.post("/v1/batches", json={"model": model, "priority": 4, "input": {"dataset": dataset}})
    with services.database.reading() as session:
        assert jobs.find(session, answer.json()["id"]).priority == 4


def test_no_batch_goes_before_a_prediction(client, model):
    answer = client.post("/v1/batches", files=as_files(pictures(1)), data={"model": model, "priority": "5"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/priority")
