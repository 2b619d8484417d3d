"""Classifying a chunk of a batch: its predictions, counters and end are committed at once."""

import time

from db import batches, jobs
from db.models import Chunk
from db.requests import BatchRequest
from db.session import Session
from tsukiji.jobs import JobKind, JobStatus, Queue
from worker.closer import Wishes, look_closer
from worker.lease import Lease, Stale
from worker.models import ModelCache
from worker.services import Services
from worker.streams import predict


def classify(models: ModelCache, services: Services, chunk: Chunk, lease: Lease) -> None:
    with services.database.reading() as session:
        job, items = jobs.find(session, chunk.job_id), batches.items_of(session, chunk)
    asked = BatchRequest.of(job)
    model = models.get(asked.model)
    began = time.monotonic()
    rows = predict(services, model.predictor, items, lease, asked.threshold)
    look_closer(services, model.insight, Wishes(asked.tags, asked.heatmap), items, rows, lease.check)
    services.chunk_sizing.note(asked.model, len(rows), time.monotonic() - began)

    def end(session: Session) -> bool:
        if not batches.finish_chunk(session, chunk, rows, model.engine):
            raise Stale
        return job.kind == JobKind.EVALUATION and jobs.find(session, job.id).status == JobStatus.QUEUED

    if services.retry_while_unavailable(end):
        services.wakeups.ring(Queue.INTAKE)  # that was the last: it is measured now
