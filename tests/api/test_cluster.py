"""Batches that a program on a cluster runs: it reports parts, and the job is one like others."""

import pytest

from db.clock import now
from db.items import Item
from db.jobs import jobs, leases
from db.models import Job
from db.parts import tables
from db.parts.files import encoded
from db.predictions.decisions import Rule
from tests.api.conftest import claim_chunk, predict, worker_of
from tsukiji.kernel.settings import OutputSettings, SourceSettings
from tsukiji.kernel.storage.blobs import digest_of
from worker.jobs.batches import run as run_batch
from worker.runner import run


@pytest.fixture
def place(services, tmp_path):
    """A folder that the service may read and write."""
    url = f"file://{tmp_path}/ray"
    changes = {"sources": SourceSettings(allowed=[url]), "outputs": OutputSettings(allowed=[url])}
    services.settings = services.settings.model_copy(update=changes)
    return url


def body(model, place, **more):
    asked = {"model": model, "runner": "ray", "input": {"source": f"{place}/in"}}
    return asked | {"output": {"to": "parquet", "url": f"{place}/out"}} | more


@pytest.fixture
def batch(client, model, place):
    answer = client.post("/v1/batches", json=body(model, place))
    assert answer.status_code == 202, answer.text
    return answer.json()


def report(client, batch, **told):
    return client.post(f"/v1/batches/{batch['id']}/reports", json=told)


def part(services, batch, place, first, images, name=None):
    """Write a part as the program does, whose second image cannot be read; returns what is told of it."""
    with services.database.reading() as session:
        rule = Rule.of(jobs.find(session, batch["id"]))
    items = [blank(first + at) for at in range(images)]
    rows = [predict(item, (0.1, 0.2, 0.7), item.seq == 1) for item in items]
    data = encoded(tables.table_of(items, [f"{place}/in/{item.custom_id}" for item in items], rows, rule), 1024)
    url = f"{place}/out/batch={batch['id']}"
    services.files.outputs.open(url).write(name or f"part-{first}.parquet", data)
    groups, errors = tables.counted(tables.table_of(items, [None] * images, rows, rule), rule)
    told = {"first_seq": first, "last_seq": first + images - 1, "url": f"{url}/{name or f'part-{first}.parquet'}"}
    told |= {"sha256": digest_of([data]).sha256, "bytes": len(data), "errors": errors, "groups": groups}
    return told | {"succeeded": images - sum(errors.values())}


def blank(seq):
    return Item(seq=seq, custom_id=f"{seq}.jpg", sha256="0" * 64)


def test_a_cluster_decides_by_a_threshold(client, model, place):
    refused = client.post("/v1/batches", json=body(model, place, target_error=0.05))
    assert (refused.status_code, "by a `threshold`" in refused.text) == (422, True)


def test_it_runs_at_once_and_no_worker_takes_it(client, services, batch):
    assert (batch["status"], batch["phase"]) == ("running", "classifying")
    with services.database.transaction() as session:
        assert leases.claim(session, Job, batch["id"], "worker", 30) is None
        assert claim_chunk(session) is None


def test_parts_are_counted_once_read_as_results_and_listed_at_the_end(client, services, place, batch, tmp_path):
    first, second = part(services, batch, place, 0, 3), part(services, batch, place, 3, 2)
    assert report(client, batch, images=5, engine={"engine": "openvino"}).json()["counts"]["total"] == 5
    for told in ([second], [first, second], [first]):  # out of order, and again after a lost answer
        assert report(client, batch, parts=told).status_code == 200
    assert report(client, batch).json()["counts"]["succeeded"] == 4
    ended = report(client, batch, done=True)
    assert ended.json()["status"] == "queued", "a worker lists the parts"
    worker = worker_of(services)
    with services.database.transaction() as session:
        job = leases.claim(session, Job, batch["id"], worker.worker, 30)
    run(worker, job, run_batch)
    found = client.get(f"/v1/batches/{batch['id']}").json()
    assert (found["status"], found["counts"]["errored"]) == ("succeeded", 1)
    results = client.get(f"/v1/batches/{batch['id']}/items").json()["data"]
    assert [one["custom_id"] for one in results] == [f"{seq}.jpg" for seq in range(5)]
    assert results[1]["error"]["code"]
    names = {path.name for path in tmp_path.rglob("_delta_log/*")}
    assert names == {"00000000000000000000.json"}, "the table's log"


def test_cancelling_reaches_the_program(client, services, place, batch):
    report(client, batch, images=5, parts=[part(services, batch, place, 0, 3)])
    client.post(f"/v1/jobs/{batch['id']}/cancel")
    assert report(client, batch).json()["status"] == "cancelling"
    assert report(client, batch, done=True).json()["status"] == "cancelled"
    assert len(client.get(f"/v1/batches/{batch['id']}/items").json()["data"]) == 3


def test_what_it_says_went_wrong_is_the_jobs_error(client, batch):
    ended = report(client, batch, error="ActorDiedError: out of memory").json()
    assert (ended["status"], ended["error"]["code"]) == ("failed", "cluster_failed")
    assert "out of memory" in ended["error"]["detail"]
    assert report(client, batch).json()["code"] == "job_not_running"


def test_a_program_that_falls_silent_ends_the_job(client, services, place, batch):
    report(client, batch, images=5, parts=[part(services, batch, place, 0, 3)])
    with services.database.transaction() as session:
        jobs.change(session, Job.id == batch["id"], lease_expires_at=now(-1))
        (silent,) = leases.expired(session)
        leases.recover(session, silent)
    found = client.get(f"/v1/batches/{batch['id']}").json()
    assert (found["status"], found["error"]["code"]) == ("failed", "worker_lost")
    assert report(client, batch).status_code == 409


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "file:///etc/part.parquet"}, "not in the batch's folder"),
        ({"last_seq": 7}, "another number"),
        ({"distribution": "AAAA"}, "distribution"),
        ({"sha256": "short"}, "sha256"),
    ],
)
def test_a_part_that_cannot_be_is_refused_and_nothing_counted(client, services, place, batch, wrong, words):
    refused = report(client, batch, images=5, parts=[part(services, batch, place, 0, 3) | wrong])
    assert refused.status_code == 422
    assert words in refused.text
    assert client.get(f"/v1/batches/{batch['id']}").json()["counts"]["succeeded"] == 0


def test_it_is_not_done_while_images_are_missing(client, services, place, batch):
    report(client, batch, images=5, parts=[part(services, batch, place, 0, 3)])
    refused = report(client, batch, done=True)
    assert refused.status_code == 422
    assert "Of 5 images, 3 are reported" in refused.text
    assert client.get(f"/v1/batches/{batch['id']}").json()["status"] == "running"


@pytest.mark.parametrize("more", [{"tags": True}, {"output": None}, {"output": {"to": "parquet"}}])
def test_what_the_runner_cannot_do_is_refused(client, model, place, more):
    answer = client.post("/v1/batches", json=body(model, place, **more))
    assert answer.status_code == 422
    assert "runner" in answer.text


def test_places_must_be_allowed(client, model, place):
    answer = client.post("/v1/batches", json=body(model, place, output={"to": "parquet", "url": "file:///elsewhere"}))
    assert answer.json()["code"] == "output_not_allowed"
