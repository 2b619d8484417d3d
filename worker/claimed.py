"""The frame around every claimed job: claim, lease, do, and tell the row how it went. Knows no kind of job."""

from collections.abc import Callable

import structlog

from db import jobs
from db.models import Job
from db.session import DatabaseUnavailable, PoolExhausted, Session
from tsukiji.errors import DatabaseAway, InternalError, TsukijiError, WorkStalled
from tsukiji.jobs import JobStatus
from worker.lease import Lease, Stopped
from worker.services import Services

log = structlog.get_logger(__name__)


class Stale(Exception):
    """Another attempt holds the job: what this one was about to write must not be written."""


def work(services: Services, job_id: str, do: Callable[[Services, Job, Lease], None]) -> None:
    """Claim a job and do it, unless it is somebody else's or has ended.

    `do` ends the job itself, in the transaction that writes its results; it raises `Stopped` when the lease says so, a
    `TsukijiError` when the job is to fail, and anything else when it is to be tried again.
    """
    settings = services.settings.jobs
    job = claim(services, job_id)
    if job is None:
        log.info("job_refused", job_id=job_id)
        return
    lease = Lease(
        services.database,
        settings,
        beat=lambda session: jobs.beat(session, job.id, job.attempt, settings.lease_seconds),
        look=lambda session: jobs.signals(session, job.id, job.attempt),
        drop=lambda session: jobs.drop(session, job.id, job.attempt, WorkStalled.code),
    )
    with structlog.contextvars.bound_contextvars(job_id=job.id, attempt=job.attempt):
        log.info("job_started", kind=job.kind)
        try:
            with lease:
                do(services, job, lease)
            log.info("job_finished")
        except (Stopped, Stale):
            leave(services, job, lease)
        except Exception as error:  # noqa: BLE001 - the last frame of the work: whatever it met is told to the row
            report(services, job, error)


def claim(services: Services, job_id: str) -> Job | None:
    settings = services.settings.jobs
    with services.database.reading() as session:
        if not jobs.is_queued(session, job_id):
            return None
    with services.database.transaction() as session:
        return jobs.claim(
            session, job_id, services.worker, settings.lease_seconds, work_seconds=3600 * settings.training_hours
        )


def leave(services: Services, job: Job, lease: Lease) -> None:
    """Leave a job unfinished: cancelled as asked, or back into the queue because this worker stops."""

    def tell(session: Session) -> None:
        if lease.signals.cancel:
            jobs.move(session, job.id, JobStatus.CANCELLED, attempt=job.attempt, worker=services.worker)
        elif lease.shutdown and not lease.signals.lost:
            jobs.give_back(session, job.id, job.attempt, "worker_stopping")
        else:
            log.warning("job_lost")

    services.insist(tell)


def report(services: Services, job: Job, error: Exception) -> None:
    """Tell the row what the work met."""
    log.warning("job_failed", exc_info=error)
    known = recognise(error)

    def tell(session: Session) -> None:
        if is_tried_again(known):
            jobs.retry(session, job, known)
        else:
            jobs.fail(session, job.id, job.attempt, known)

    services.insist(tell)


def recognise(error: Exception) -> TsukijiError:
    """Return the error in our words."""
    match error:
        case TsukijiError():
            return error
        case DatabaseUnavailable() | PoolExhausted():
            return DatabaseAway()
    return InternalError(f"{type(error).__name__}: {error}")


def is_tried_again(error: TsukijiError) -> bool:
    """Is the work to be tried again? Yes too where nobody foresaw the error: it may not happen twice."""
    return error.retriable or isinstance(error, InternalError)
