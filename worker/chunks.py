"""One chunk of a batch: claim, classify, and commit everything at once."""

import time

import structlog

from db import batches, jobs, turns, workers
from db.batches import Work
from db.session import Session
from tsukiji.errors import ModelGone, TsukijiError, WorkStalled
from tsukiji.jobs import PRESENT_SECONDS, JobKind, Queue, Task
from worker.claimed import is_tried_again, recognise
from worker.closer import Wishes, look_closer
from worker.lease import Lease, Stopped
from worker.models import ModelCache
from worker.services import Services
from worker.streams import predict

log = structlog.get_logger(__name__)


def run(services: Services, models: ModelCache, row_id: str) -> bool:
    """Classify the images of the chunk whose turn it is, whichever row the message named.

    Returns:
        Whether to look for the next one: not when none was to be had, nor when what all chunks need is away.
    """
    work = claim(services)
    if work is None:
        log.info("chunk_refused", chunk=row_id)
        return False
    with structlog.contextvars.bound_contextvars(job_id=work.job.id, chunk=work.chunk.id, attempt=work.chunk.attempt):
        try:
            classify(services, models, work)
            if work.job.kind == JobKind.EVALUATION:
                wake_measuring(services, work.job.id)
        except Exception as error:  # noqa: BLE001 - the last frame of the work: whatever it met is told to the row
            return not report(services, work, error).outage
    return True


def wake_measuring(services: Services, job_id: str) -> None:
    """Send for who measures, if this was the last chunk; else the dispatcher would, at its next tick."""
    with services.database.reading() as session:
        waits = jobs.is_queued(session, job_id)
    if waits and services.wakeups.send(Task.EVALUATION, job_id):
        with services.database.transaction() as session:
            jobs.mark_sent(session, [job_id])


def claim(services: Services) -> Work | None:
    """Take what is fairest. Where other workers were faster there may be more: look until there is none."""
    settings = services.settings.jobs
    while True:
        with services.database.reading() as session:
            job_id = turns.next_batch(session)
        if job_id is None:
            return None
        with services.database.transaction() as session:
            job = jobs.lock(session, job_id)
            hands = workers.count(session, Queue.INFER, PRESENT_SECONDS)
            left = int(job.items_total - job.completed)
            images = services.pace.images(job.request["model"], settings.chunk_seconds, left, hands)
            if work := turns.take(session, job, services.worker, settings.lease_seconds, images):
                return work


def classify(services: Services, models: ModelCache, work: Work) -> None:
    chunk, lease_seconds = work.chunk, services.settings.jobs.lease_seconds
    lease = Lease(
        services.database,
        services.settings.jobs,
        beat=lambda session: batches.beat_chunk(session, chunk, lease_seconds),
        look=lambda session: batches.chunk_signals(session, chunk),
        drop=lambda session: batches.drop_chunk(session, chunk, WorkStalled.code),
    )
    try:
        with lease:
            model = models.get(work.job.request["model"])
            began = time.monotonic()
            rows = predict(services, model.predictor, work.items, lease, work.job.request.get("threshold", 0.0))
            look_closer(services, model.insight, Wishes.of(work.job.request), work.items, rows, lease.check)
            services.pace.note(work.job.request["model"], len(rows), time.monotonic() - began)
    except Stopped:
        leave(services, work, lease)
        return
    done = services.insist(lambda session: batches.finish_chunk(session, chunk, rows, model.engine))
    log.info("chunk_finished" if done else "chunk_write_refused", images=len(rows))


def leave(services: Services, work: Work, lease: Lease) -> None:
    """Leave a chunk unfinished: cancelled with its batch, or back into the queue because this worker stops."""
    if lease.signals.lost:
        log.warning("chunk_lost")
        return
    cancelled = lease.signals.cancel
    services.insist(
        lambda session: (batches.cancel_chunk if cancelled else batches.give_back_chunk)(session, work.chunk)
    )
    log.info("chunk_cancelled" if cancelled else "chunk_given_back")


def report(services: Services, work: Work, error: Exception) -> TsukijiError:
    """Tell the row what the work met: the batch ends, or its images get the reason, or it is tried again."""
    log.warning("chunk_failed", exc_info=error)
    known = recognise(error)

    def tell(session: Session) -> None:
        if isinstance(known, ModelGone):
            batches.abort(session, work.job.id, known)
        elif is_tried_again(known):
            batches.retry_chunk(session, work.chunk, known)
        else:
            batches.fail_chunk(session, work.chunk, known)

    services.insist(tell)
    return known
