"""Classifying a chunk of a batch: its predictions, counters and end are committed together."""

import time
from contextlib import nullcontext

from db.jobs import batches, jobs
from db.jobs.requests import BatchRequest
from db.models import Chunk, Job
from db.session import Session
from tsukiji.jobs import JobKind, JobStatus, Queue
from tsukiji.kernel.log import identify
from tsukiji.kernel.metrics import meters
from tsukiji.vision.device import memory_of
from worker.device_turn import DeviceTurn
from worker.inference.batch_inference import Reading, predict
from worker.inference.explanations import ExplanationOptions, explain_items
from worker.inference.model_cache import Loaded, ModelCache
from worker.inference.part_inference import classify_part
from worker.lease import Lease, Stale
from worker.services import Services


def classify(models: ModelCache, services: Services, chunk: Chunk, lease: Lease) -> None:
    with services.database.reading() as session:
        job = jobs.find(session, chunk.job_id)
    identify(key_id=job.created_by)
    model = models.get(BatchRequest.of(job).model)
    act = classify_part if batches.has_parts(job) else classify_rows
    urgent = job.kind == JobKind.PREDICTION  # milliseconds, for which no one waits
    with nullcontext() if urgent else DeviceTurn(services, Queue.INFER, lease):
        act(services, job, chunk, model, lease)
    for state, size in memory_of(model.predictor.plan.device).items():
        meters().gpu_memory_bytes.labels(model.predictor.plan.device, state).set(size)


def classify_rows(services: Services, job: Job, chunk: Chunk, model: Loaded, lease: Lease) -> None:
    """Classify a chunk whose items are rows."""
    with services.database.reading() as session:
        items = batches.items_of(session, chunk)
    asked, began = BatchRequest.of(job), time.monotonic()
    classified = predict(model.predictor, items, Reading.of(services, model.predictor, lease), asked.threshold)
    rows = classified.rows
    explain_items(services, model.calibration, ExplanationOptions(asked.tags, asked.heatmap), items, rows, lease.check)
    services.chunk_sizing.note(asked.model, len(rows), time.monotonic() - began)

    def end(session: Session) -> bool:
        if not batches.finish_chunk(session, chunk, rows, model.engine, classified.distribution):
            raise Stale
        return job.kind == JobKind.EVALUATION and jobs.find(session, job.id).status == JobStatus.QUEUED

    with meters().write_seconds.time():
        measured = services.retry_while_unavailable(end)
    if measured:
        services.notifier.notify(Queue.INTAKE)  # that was the last chunk: measure the evaluation
