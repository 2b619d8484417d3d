"""Results in parts, read over HTTP as results in rows are."""

import csv
import hashlib
import io
import json

import pytest
from pyarrow import parquet

from db.jobs import batches, jobs, leases
from db.models import Job
from db.parts import tables
from db.predictions.decisions import Rule
from tests.api.conftest import claim_chunk, picture, predict, worker_of
from tests.api.test_auth import SAME_SITE
from tests.api.test_drift import distribution
from tests.api.test_guarantees import TARGET, look, promise_of, tell
from tsukiji.kernel.settings import OutputSettings, SourceSettings
from worker.inference import part_inference
from worker.jobs import batches as planning
from worker.jobs.batches import run as run_batch
from worker.lease import Lease
from worker.part_files import store_part
from worker.runner import run


@pytest.fixture
def photos(services, tmp_path):
    """A folder with five pictures, which the service may read."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.png").write_bytes(picture((number, 90, 9)))
    sources = SourceSettings(allowed=[f"file://{folder}"])
    services.settings = services.settings.model_copy(update={"sources": sources})
    return folder


@pytest.fixture
def worker(services, photos):
    return worker_of(services)


def send(client, model, photos, **options):
    body = {"model": model, "input": {"source": f"file://{photos}"}, "output": {"to": "parquet"}, "top_k": 2}
    answer = client.post("/v1/batches", json=body | options)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def classify(worker, job_id, chunks=1000, known=None):
    """Plan a batch, and do its chunks as a worker does: the third picture cannot be read.

    With a known score the pictures are counted for the test of drift, too.
    """
    with worker.database.transaction() as session:
        job = leases.claim(session, Job, job_id, worker.worker, 30)
    if job:
        run(worker, job, run_batch)
    for _ in range(chunks):
        with worker.database.transaction() as session:
            chunk = claim_chunk(session)
        if chunk is None:
            break
        with worker.database.reading() as session:
            job = jobs.find(session, job_id)
        (group, _) = next(
            part_inference.groups_of(worker, job, chunk, Lease(worker.database, worker.settings.jobs, chunk))
        )
        items = [each.item for each in group]
        rows = [predict(item, (0.1, 0.2, 0.7), item.seq == 2, known and max(known, 0.05)) for item in items]
        seen = None if known is None else distribution(sum(row["error"] is None for row in rows), known)
        table = tables.table_of(items, [each.image for each in group], rows, Rule.of(job))
        with worker.database.transaction() as session:
            part = store_part(worker, job, chunk, table)
            assert batches.finish_part(session, chunk, part, None, seen)
    with worker.database.transaction() as session:
        ended = leases.claim(session, Job, job_id, worker.worker, 30)
    if ended:
        run(worker, ended, run_batch)


@pytest.fixture
def batch(client, model, photos, worker):
    job_id = send(client, model, photos)
    classify(worker, job_id)
    return job_id


def test_results_are_read_as_those_of_rows(client, batch):
    job = client.get(f"/v1/batches/{batch}").json()
    assert (job["status"], job["counts"]["succeeded"], job["counts"]["errored"]) == ("succeeded", 4, 1)
    assert job["request"]["output"] == {"to": "parquet"}
    lines = [json.loads(line) for line in client.get(f"/v1/batches/{batch}/results").text.splitlines()]
    assert [line["custom_id"] for line in lines] == [f"{number}.png" for number in range(5)]
    assert lines[0]["decision"] == "tuna"
    assert lines[2]["error"]["code"] == "truncated"
    table = list(csv.DictReader(io.StringIO(client.get(f"/v1/batches/{batch}/results?format=csv").text)))
    assert [row["best_label"] for row in table] == ["tuna", "tuna", "", "tuna", "tuna"]
    whole = parquet.read_table(io.BytesIO(client.get(f"/v1/batches/{batch}/results?format=parquet").content))
    assert whole["score"].to_pylist()[0] == pytest.approx(0.7)
    summary = client.get(f"/v1/batches/{batch}/summary").json()
    assert summary["labels"] == [{"label": "tuna", "images": 4, "decisions": 4}]
    assert summary["errors"] == [{"code": "truncated", "images": 1}]


def test_items_come_in_pages_and_by_filter(client, batch):
    first = client.get(f"/v1/batches/{batch}/items", params={"limit": 3}).json()
    rest = client.get(f"/v1/batches/{batch}/items", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [each["seq"] for each in first["data"] + rest["data"]] == [0, 1, 2, 3, 4]
    errored = client.get(f"/v1/batches/{batch}/items", params={"status": "errored"}).json()["data"]
    assert [each["custom_id"] for each in errored] == ["2.png"]


def test_waiting_images_are_listed_before_they_have_results(client, model, photos, worker):
    job_id = send(client, model, photos)
    classify(worker, job_id, chunks=0)
    items = client.get(f"/v1/batches/{job_id}/items").json()["data"]
    assert [each["status"] for each in items] == ["queued"] * 5


def test_pictures_are_shown_from_where_they_are(client, batch, photos):
    answer = client.get(f"/v1/batches/{batch}/results/1/content")
    assert answer.content == (photos / "1.png").read_bytes()
    assert client.get(f"/v1/batches/{batch}/results/1/content", params={"variant": "thumb"}).status_code == 200
    assert client.get(f"/v1/batches/{batch}/results/9/content").status_code == 404
    (photos / "1.png").write_bytes(picture((99, 9, 9)))
    assert client.get(f"/v1/batches/{batch}/results/1/content").json()["code"] == "blob_corrupt"


def test_corrections_become_images_of_the_data_set(client, batch, dataset):
    right = [{"custom_id": "0.png", "label": "eel"}, {"seq": 3, "label": "eel"}]
    answer = client.post(f"/v1/jobs/{batch}/feedback", json={"corrections": right, "dataset": dataset})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 0)


def test_parts_are_listed_and_are_files(client, batch):
    (part,) = client.get(f"/v1/batches/{batch}/parts").json()["data"]
    assert (part["first_seq"], part["succeeded"], part["errored"], part["url"]) == (0, 4, 1, None)
    data = client.get(part["links"]["content"]).content
    assert (len(data), hashlib.sha256(data).hexdigest()) == (part["bytes"], part["sha256"])
    assert parquet.read_table(io.BytesIO(data))["decision"].to_pylist() == ["tuna", "tuna", None, "tuna", "tuna"]
    assert client.get(f"/v1/batches/{batch}/parts/3").status_code == 404


def test_results_may_go_where_the_settings_allow_it(client, services, model, photos, worker, tmp_path):
    url = f"file://{tmp_path}/results"
    body = {"model": model, "input": {"source": f"file://{photos}"}, "output": {"to": "parquet", "url": url}}
    refused = client.post("/v1/batches", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "output_not_allowed")
    allowed = services.settings.model_copy(update={"outputs": OutputSettings(allowed=[url])})
    services.settings = worker.settings = allowed
    for each in (services, worker):
        each.__dict__.pop("files", None)
    job_id = client.post("/v1/batches", json=body).json()["id"]
    classify(worker, job_id)
    (part,) = client.get(f"/v1/batches/{job_id}/parts").json()["data"]
    assert part["url"] == f"{url}/batch={job_id}/{part['name']}"
    assert (tmp_path / "results" / f"batch={job_id}" / part["name"]).stat().st_size == part["bytes"]
    assert len(client.get(f"/v1/batches/{job_id}/results").text.splitlines()) == 5


def promised(client, services, model, photos, worker, known=0.6):
    """Return a batch of five pictures in three parts, with a target."""
    job_id = send(client, promise_of(services, model), photos, target_error=TARGET)
    classify(worker, job_id, known=known)
    return {"id": job_id}


@pytest.fixture
def small_lists(monkeypatch):
    monkeypatch.setattr(planning, "FIRST_LIST", 2)


@pytest.mark.usefixtures("small_lists")
def test_decisions_are_sampled_from_parts_and_checked_as_those_of_rows(
    client, services, model, photos, worker, dataset
):
    job = promised(client, services, model, photos, worker)
    assert len(client.get(f"/v1/batches/{job['id']}/parts").json()["data"]) == 3
    found = look(client, job)
    assert (found["status"], found["decided"], found["left"]) == ("promised", 4, 0)
    names = {row["seq"]: (row["custom_id"], row["decision"]) for row in found["checks"]}
    assert names == {seq: (f"{seq}.png", "tuna") for seq in (0, 1, 3, 4)}, "the third has no decision"
    assert tell(client, job, dict.fromkeys(names, "tuna"), dataset=dataset).status_code == 201
    found = look(client, job)
    assert (found["status"], found["checked"], found["wrong"], found["checks"]) == ("confirmed", 4, 0, [])
    client.delete(f"/v1/batches/{job['id']}")
    assert client.get(f"/v1/batches/{job['id']}/guarantee").status_code == 410


@pytest.mark.usefixtures("small_lists")
def test_a_promise_of_parts_is_broken_by_wrong_decisions(client, services, model, photos, worker, dataset):
    job = promised(client, services, model, photos, worker)
    tell(client, job, dict.fromkeys((row["seq"] for row in look(client, job)["checks"]), "squid"), dataset=dataset)
    assert look(client, job)["status"] == "broken"


def test_drift_withdraws_a_promise_of_parts(client, services, model, photos, worker):
    found = look(client, promised(client, services, model, photos, worker, known=0.0))
    assert (found["status"], "4 images are unlike" in found["reason"]) == ("withdrawn", True)


def test_parts_have_no_decisions_below_the_threshold_of_a_target(client, services, model, photos, worker):
    job_id = send(client, promise_of(services, model, lowest=0.75), photos, target_error=TARGET)
    classify(worker, job_id, known=0.6)
    found = look(client, {"id": job_id})
    assert (found["decided"], found["left"], found["checks"]) == (0, 4, [])
    (part,) = client.get(f"/v1/batches/{job_id}/parts").json()["data"]
    table = parquet.read_table(io.BytesIO(client.get(part["links"]["content"]).content))
    assert table["decision"].null_count == 5


def test_deleted_results_are_gone(client, batch):
    assert client.delete(f"/v1/batches/{batch}").status_code == 204
    assert client.get(f"/v1/batches/{batch}/results").status_code == 410


def test_other_outputs_are_refused(client, model, photos):
    body = {"model": model, "input": {"source": f"file://{photos}"}, "output": {"to": "xlsx"}}
    answer = client.post("/v1/batches", json=body)
    assert answer.status_code == 422
    assert "output" in answer.text


def test_the_page_shows_the_results(start, key, batch):
    browser = start(follow_redirects=True)
    browser.headers.update(SAME_SITE | {"accept": "text/html"})
    browser.post("/sign-in", data={"key": key})
    page = browser.get(f"/batches/{batch}").text
    assert "tuna" in page
    assert "truncated" in page


def test_a_picture_that_is_no_row_is_compared_with_those_of_data_sets(client, batch, reds, photos):
    place = f"/v1/batches/{batch}/results"
    answer = client.get(f"{place}/3/similar?limit=1")
    assert [one["image"]["name"] for one in answer.json()["images"]] == ["0.png"], answer.text
    (photos / "3.png").unlink()
    gone = client.get(f"{place}/3/similar")
    assert gone.status_code == 422
    assert "3.png" in gone.json()["detail"]
