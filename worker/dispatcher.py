"""The dispatcher: sees to it that no row is forgotten. Any number may run; compare-and-set keeps them apart."""

import threading
import time
from collections.abc import Mapping

import structlog

from db import batches, blobs, idempotency, jobs, retention, turns, uploads, workers
from db.models import Chunk, Job
from db.session import Session
from tsukiji.jobs import PRESENT_SECONDS, QUEUE_OF, TASK_OF, JobKind, Queue, Task
from tsukiji.settings import JobSettings
from tsukiji.storage import Incoming
from worker.reconciling import Round
from worker.services import Services

log = structlog.get_logger(__name__)

BATCHES = frozenset({JobKind.BATCH})
HOUSEKEEPING_SECONDS = 600
PURGE_SECONDS = 1
"""Of each tick, for deleting results: a batch of a million takes some ticks, and lost work is found in between."""
SWEEPS = 20
"""Of each housekeeping; a sweep is of 500 blobs at most."""
KINDS_OF = {queue: [kind for kind, task in TASK_OF.items() if QUEUE_OF[task] == queue] for queue in Queue}


def dispatch(services: Services, stop: threading.Event) -> None:
    """Tick until told to stop. A database that is away for a while costs ticks, not the dispatcher."""
    housekeeping, round_ = time.monotonic(), Round(services)
    while not stop.wait(services.settings.jobs.tick_seconds):
        try:
            expire(services)
            recover(services)
            send(services)
            purge(services)
            round_.advance()
            if time.monotonic() - housekeeping > HOUSEKEEPING_SECONDS:
                clean(services)
                housekeeping = time.monotonic()
        except Exception as error:
            log.warning("tick_failed", exc_info=error)


def expire(services: Services) -> None:
    """End what was not done in time."""
    with services.database.reading() as session:
        late = jobs.overdue(session)
    for job in late:
        with services.database.transaction() as session:
            if jobs.expire(session, job):
                log.warning("job_expired", job_id=job.id, deadline=str(job.deadline_at))


def recover(services: Services) -> None:
    """Requeue or end what a silent worker held. Each in a transaction of its own: one bad row stops no other."""
    with services.database.transaction() as session:
        if shortened := jobs.shorten(session, services.settings.jobs.lease_seconds):
            log.warning("clock_set_back", leases=shortened)
    with services.database.reading() as session:
        silent, silent_chunks = jobs.expired(session), batches.expired_chunks(session)
    for job in silent:
        with services.database.transaction() as session:
            log.warning("lease_expired", job_id=job.id, worker=job.lease_owner, now=jobs.recover(session, job))
    for chunk in silent_chunks:
        with services.database.transaction() as session:
            log.warning("lease_expired", job_id=chunk.job_id, chunk=chunk.id, worker=chunk.lease_owner)
            batches.recover_chunk(session, chunk)


def send(services: Services) -> None:
    """Send the wake-ups that are due. Marks are written after sending: a crash between sends twice, harmlessly."""
    settings, wakeups = services.settings.jobs, services.wakeups
    with services.database.reading() as session:
        idle = workers.idle(session, 2 * settings.beat_seconds)
        waiting = dict.fromkeys([*jobs.unsent(session, settings.resend_seconds), *overlooked(session, idle)])
        chunks = unsent_chunks(session, settings, idle.get(Queue.INFER, 0))
    sent = [job.id for job in waiting if wakeups.send(TASK_OF[JobKind(job.kind)], job.id, priority=job.priority)]
    sent_chunks = [chunk.job_id for chunk in chunks if wakeups.send(Task.CHUNK, chunk.id)]
    if sent or sent_chunks:
        log.info("wakeups_sent", jobs=len(sent), chunks=len(sent_chunks))
        with services.database.transaction() as session:
            jobs.mark_sent(session, sent + sent_chunks)


def unsent_chunks(session: Session, settings: JobSettings, idle: int) -> list[Chunk]:
    """Return a chunk for each worker that is to be woken: who is at work looks for the next one without being told."""
    if idle:
        return turns.unsent_chunks(session, jobs.LOST_SECONDS, limit=idle)[:idle]
    nobody = workers.count(session, Queue.INFER, PRESENT_SECONDS) == 0
    return turns.unsent_chunks(session, settings.resend_seconds, limit=1, again=nobody)


def purge(services: Services) -> None:
    """Delete results whose time is over, a slice in each transaction."""
    until = time.monotonic() + PURGE_SECONDS
    while time.monotonic() < until:
        with services.database.reading() as session:
            job = retention.next_due(session)
        if job is None:
            return
        with services.database.transaction() as session:
            retention.close(session, job, "retention")
        left = True
        while left and time.monotonic() < until:
            with services.database.transaction() as session:
                left = retention.delete_slice(session, job.id)
        if not left:
            log.info("results_deleted", job_id=job.id)


def overlooked(session: Session, idle: Mapping[str, int]) -> list[Job]:
    """Return what waits though workers of its queue idle, one for each: who got its message died before the claim."""
    return [
        job
        for queue, kinds in KINDS_OF.items()
        for job in jobs.unsent(session, jobs.LOST_SECONDS, kinds, limit=idle.get(queue, 0))
    ]


def clean(services: Services) -> None:
    """Let old results and uploads expire; delete bytes that nothing refers to any more, and old idempotency keys."""
    clean_uploads(services)
    settings = services.settings.retention
    with services.database.transaction() as session:
        for kinds, days in (
            (BATCHES, settings.batch_days),
            (retention.KINDS - BATCHES, settings.prediction_days),
            (retention.IMPORTS, settings.import_days),
        ):
            if days:
                retention.give_up(session, kinds, days)
        idempotency.forget_old(session)
    for _ in range(SWEEPS):
        if not sweep(services):
            return


def sweep(services: Services) -> int:
    """Delete some of the bytes that nothing refers to any more; returns how many.

    Bytes that somebody puts at this moment are left to the store's reconciliation, should no row follow them.
    """
    hours = services.settings.jobs.blob_grace_hours
    with services.database.transaction() as session:
        garbage = blobs.sweep(session, hours)
    for sha256 in garbage:
        with services.database.reading() as session:
            kept = blobs.is_kept(session, sha256)
        if not kept:
            services.store.discard(sha256, hours)
    if garbage:
        log.info("blobs_swept", blobs=len(garbage))
    return len(garbage)


def clean_uploads(services: Services) -> None:
    """Delete expired uploads: the parts first, so that a row stays for as long as there may be any."""
    with services.database.reading() as session:
        late = uploads.expired(session)
    for upload in late:
        services.store.drop(Incoming(upload.id, upload.token))
        with services.database.transaction() as session:
            uploads.remove(session, upload.id)
    if late:
        log.info("uploads_expired", uploads=len(late))
