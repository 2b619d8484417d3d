"""The dispatcher: sees to it that no row is forgotten. Any number may run; compare-and-set keeps them apart."""

import threading
import time

import structlog

from db import batches, blobs, idempotency, jobs, uploads
from tsukiji.jobs import TASK_OF, JobKind, Task
from tsukiji.storage import Incoming
from worker.services import Services

log = structlog.get_logger(__name__)

HOUSEKEEPING_SECONDS = 600


def dispatch(services: Services, stop: threading.Event) -> None:
    """Tick until told to stop. A database that is away for a while costs ticks, not the dispatcher."""
    housekeeping = time.monotonic()
    while not stop.wait(services.settings.jobs.tick_seconds):
        try:
            expire(services)
            recover(services)
            send(services)
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
    resend = services.settings.jobs.resend_seconds
    with services.database.reading() as session:
        waiting, waiting_chunks = jobs.unsent(session, resend), batches.unsent_chunks(session, resend)
    wakeups = services.wakeups
    sent = [job.id for job in waiting if wakeups.send(TASK_OF[JobKind(job.kind)], job.id, priority=job.priority)]
    sent_chunks = [chunk.id for chunk in waiting_chunks if wakeups.send(Task.CHUNK, chunk.id, priority=chunk.priority)]
    if sent or sent_chunks:
        log.info("wakeups_sent", jobs=len(sent), chunks=len(sent_chunks))
        with services.database.transaction() as session:
            jobs.mark_sent(session, sent)
            batches.mark_chunks_sent(session, sent_chunks)


def clean(services: Services) -> None:
    """Delete uploads that nobody went on with, bytes that nothing refers to any more, and old idempotency keys."""
    clean_uploads(services)
    with services.database.transaction() as session:
        idempotency.forget_old(session)
        garbage = blobs.sweep(session, services.settings.jobs.blob_grace_hours)
    for sha256 in garbage:
        with services.database.reading() as session:
            kept = blobs.is_kept(session, sha256)
        if not kept:
            services.store.delete(sha256)
    if garbage:
        log.info("blobs_swept", blobs=len(garbage))


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
