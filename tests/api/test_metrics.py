"""`/metrics`: who may read it, and what it says."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from db import webhooks
from db.jobs import jobs, leases, workers
from db.models import BatchDrift, Job
from db.session import Session
from tests.api.conftest import as_files, pictures, run_job, work
from tsukiji.kernel import metrics
from tsukiji.kernel.settings import MetricsSettings


@pytest.fixture(autouse=True)
def fresh():
    """Begin to count at nothing."""
    metrics.meters.cache_clear()


def read(client):
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def test_a_key_is_needed_unless_metrics_are_public(client, stranger, services):
    assert stranger.get("/metrics").status_code == 401
    assert client.get("/metrics").status_code == 200
    services.settings = services.settings.model_copy(update={"metrics": MetricsSettings(public=True)})
    assert stranger.get("/metrics").status_code == 200
    assert stranger.get("/metrics", headers={"host": "elsewhere.example"}).status_code == 421


def test_requests_are_counted_by_route_not_by_address(client, dataset):
    for name in ("job_1", "job_2"):
        client.get(f"/v1/jobs/{name}")
    client.get("/nowhere/at/all")
    client.get("/livez")
    found = read(client)
    assert found["tsukiji_http_requests_total", "/v1/jobs/{job}", "404", "GET"] == 2
    assert found["tsukiji_http_request_seconds_count", "/v1/jobs/{job}"] == 2
    assert found["tsukiji_http_requests_total", "404", "GET", "none"] == 1
    assert not [name for name in found if {"/livez", "/metrics", "/nowhere/at/all"} & set(name)]


def test_queues_and_jobs_are_read_from_their_rows(client, services, dataset):
    with services.database.transaction() as session:
        workers.report(session, "train@1", "train", None)
    first, _ = (client.post("/v1/trainings", json={"dataset": dataset}).json()["id"] for _ in range(2))
    found = read(client)
    assert found["tsukiji_queue_depth", "train"] == 2
    assert found["tsukiji_queue_oldest_seconds", "train"] >= 0
    assert found["tsukiji_queue_depth", "infer"] == found["tsukiji_queue_oldest_seconds", "infer"] == 0
    assert (found["tsukiji_workers", "train"], found["tsukiji_workers", "infer"]) == (1, 0)
    assert found["tsukiji_jobs_active", "queued", "training"] == 2
    run_job(services, first, {})
    found = read(client)
    assert found["tsukiji_jobs_active", "queued", "training"] == 1
    assert found["tsukiji_jobs_ended_total", "succeeded", "training"] == 1


def test_pictures_and_ends_of_batches_are_counted_once_they_are_written(client, services, model):
    client.post("/v1/batches", files=as_files(pictures(3)), data={"model": model})
    assert read(client)["tsukiji_queue_depth", "infer"] == 1
    work(services, errors={1})
    found = read(client)
    assert found["tsukiji_images_classified_total", "succeeded"] == 2
    assert found["tsukiji_images_classified_total", "errored"] == 1
    assert found["tsukiji_jobs_ended_total", "batch", "succeeded"] == 1


def test_an_end_that_is_rolled_back_is_not_counted(client, services, dataset):
    job = client.post("/v1/trainings", json={"dataset": dataset}).json()["id"]
    with services.database.engine.connect() as connection, Session(connection) as session:
        jobs.finish(session, leases.claim(session, Job, job, "test", 30), {})
        session.rollback()
    assert read(client).get(("tsukiji_jobs_ended_total", "succeeded", "training"), 0) == 0


def test_batches_of_strange_pictures_are_counted_for_a_day(client, services, model):
    batches = [
        client.post("/v1/batches", files=as_files(pictures(2)), data={"model": model}).json()["id"] for _ in "ab"
    ]
    with services.database.transaction() as session:
        for age, batch in enumerate(batches):
            at = datetime.now(UTC) - timedelta(days=2 * age)
            values = {"distribution": b"", "exceeded": True, "created_at": at}
            session.add(BatchDrift(job_id=batch, model_id=model, **values))
    assert read(client)["tsukiji_drift_batches",] == 1


def test_bytes_disks_and_webhooks(client, services, dataset):
    hook = client.post("/v1/webhooks", json={"url": "https://hooks.example/"}).json()["id"]
    client.post(f"/v1/webhooks/{hook}/test")
    found = read(client)
    assert found["tsukiji_webhook_deliveries_pending",] == 1
    assert found["tsukiji_webhooks_failing",] == 0
    assert found["tsukiji_drift_batches",] == 0
    assert found["tsukiji_stored_bytes",] > 0
    assert 0 < found["tsukiji_disk_free_bytes", "data"] <= found["tsukiji_disk_total_bytes", "data"]
    with services.database.transaction() as session:
        webhooks.fail(session, webhooks.claim(session, hook, 60)[1], 500, "It answered 500.", 0)
    assert read(client)["tsukiji_webhooks_failing",] == 1
