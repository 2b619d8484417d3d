"""One trace from a request to the chunk that it led to; the spans stay in memory."""

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from api.main import create_app
from db.jobs import jobs
from db.models import Chunk
from tests.api.conftest import as_files, claim_chunk, pictures, worker_of
from tsukiji.kernel import tracing
from worker.runner import run

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans():
    """What was exported, by name."""
    exporter = InMemorySpanExporter()
    tracing.start("test", "1", SimpleSpanProcessor(exporter))
    yield lambda: {span.name: span for span in exporter.get_finished_spans()}
    tracing.stop()


@pytest.fixture
def client(spans, services, settings, key):
    app = create_app(settings, lambda _settings: services)
    with TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}) as client:
        yield client


def test_a_request_and_the_chunk_that_it_led_to_are_one_trace(client, services, model, spans):
    sent = client.post(
        "/v1/batches", files=as_files(pictures(2)), data={"model": model}, headers={"traceparent": CALLER}
    )
    job_id = sent.json()["id"]
    client.get("/livez")
    with services.database.transaction() as session:
        chunk = claim_chunk(session)
    run(worker_of(services), chunk, lambda _services, _chunk, _lease: None)
    request, work = spans()["POST /v1/batches"], spans()["chunk"]
    assert f"{request.context.trace_id:032x}" == CALLER.split("-")[1], "the caller's trace goes on"
    assert work.context.trace_id == request.context.trace_id
    assert work.parent.span_id == request.context.span_id
    assert dict(work.attributes) == {"job_id": job_id, "work": chunk.id, "attempt": 1}
    assert isinstance(chunk, Chunk)
    assert not [name for name in spans() if "livez" in name]


def test_without_an_endpoint_nothing_is_traced(services, dataset, monkeypatch, client):
    tracing.stop()
    monkeypatch.delenv(tracing.VARIABLE, raising=False)
    tracing.configure("api", "1")
    assert not tracing.is_on()
    job_id = client.post("/v1/trainings", json={"dataset": dataset}).json()["id"]
    with services.database.reading() as session:
        assert jobs.trace_of(session, job_id) is None


def test_an_endpoint_switches_it_on(monkeypatch):
    monkeypatch.setenv(tracing.VARIABLE, "http://127.0.0.1:9")
    tracing.configure("api", "1")
    assert tracing.is_on()
    tracing.stop()


def test_a_span_continues_the_trace_that_it_is_given(spans):
    with tracing.span("outer"):
        outer = tracing.traceparent()
    with tracing.span("later", outer, job_id=None):
        assert tracing.traceparent().split("-")[1] == outer.split("-")[1]
