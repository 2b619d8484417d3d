"""The runner: claims the next work of a queue, holds its lease, does it, and records the outcome.

It knows no kinds of work: it calls a function found by the work's kind.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import structlog

from db.jobs import jobs, leases, scheduling
from db.jobs.leases import Work
from db.models import Job
from db.session import DatabaseUnavailable, PoolExhausted, Session
from tsukiji.errors import DatabaseAway, InternalError, TsukijiError
from tsukiji.jobs import JobKind, Queue
from tsukiji.kernel import tracing
from tsukiji.kernel.log import identified
from tsukiji.kernel.metrics import meters
from worker.lease import Lease, Stale, Stopped
from worker.services import Services

CHUNK = "chunk"
Act = Callable[[Services, Any, Lease], None]
"""Does a claimed job or chunk. It checks its lease, and ends the work itself, in the transaction that writes its
results. It raises `Stopped` when the lease requires it, `Stale` when that transaction is refused, a `TsukijiError` to
fail the work, and anything else to have it retried. It may run more than once."""
Acts = Mapping[JobKind | str, Act]

log = structlog.get_logger(__name__)


def work_next(services: Services, queue: Queue, acts: Acts) -> bool:
    """Claim and do the next work.

    Returns:
        Whether to look for more: not if there was none, this worker is stopping, or there is an outage.
    """
    settings = services.settings.jobs
    work = scheduling.claim_next(services.database, queue, services.worker, settings, services.chunk_size)
    if work is None:
        log.info("nothing_due", queue=queue)
        return False
    return run(services, work, acts[JobKind(work.kind) if isinstance(work, Job) else CHUNK])


def run(services: Services, work: Work, act: Act) -> bool:
    """Do claimed work; returns whether to continue with more."""
    job_id = leases.job_of(work)
    with services.database.reading() as session:
        key_id, project_id = jobs.owner_of(session, job_id)
    services = services.within_project(project_id)
    with identified(job_id=job_id, work=work.id, attempt=work.attempt, key_id=key_id, project_id=project_id):
        lease = Lease(services.database, services.settings.jobs, work)
        log.info("work_started")
        if isinstance(work, Job) and work.attempt == 1 and work.started_at:
            waited = (work.started_at - work.created_at).total_seconds()
            meters().job_wait_seconds.labels(work.kind).observe(max(0.0, waited))
        try:
            with lease, traced(services, work):
                act(services, work, lease)
            log.info("work_finished")
        except (Stopped, Stale):
            leave(services, work, lease)
            return not lease.shutdown
        except Exception as error:  # noqa: BLE001 - the last frame of the work: every error is recorded in the row
            return not report(services, work, error).outage
    return True


def traced(services: Services, work: Work) -> AbstractContextManager[None]:
    """Return a span around the work, in the trace of the request that led to it."""
    if not tracing.is_on():
        return nullcontext()
    job_id = leases.job_of(work)
    with services.database.reading() as session:
        parent = jobs.trace_of(session, job_id)
    name = work.kind if isinstance(work, Job) else CHUNK
    return tracing.span(name, parent, job_id=job_id, work=work.id, attempt=work.attempt)


def leave(services: Services, work: Work, lease: Lease) -> None:
    """Leave work unfinished: cancelled as requested, or requeued because this worker stops."""

    def tell(session: Session) -> None:
        if lease.signals.lost or not (lease.signals.cancel or lease.shutdown):
            log.warning("work_lost")
        elif lease.signals.cancel:
            leases.cancel(session, work, worker=services.worker)
        else:
            leases.give_back(session, work, "worker_stopping")

    services.retry_while_unavailable(tell)


def report(services: Services, work: Work, error: Exception) -> TsukijiError:
    """Record the error in the row. Unexpected errors are retried: they may be transient."""
    log.warning("work_failed", exc_info=error)
    known = recognise(error)
    tell = leases.retry if known.retriable or isinstance(known, InternalError) else leases.fail
    services.retry_while_unavailable(lambda session: tell(session, work, known))
    return known


def recognise(error: Exception) -> TsukijiError:
    """Return the error as a TsukijiError."""
    match error:
        case TsukijiError():
            return error
        case DatabaseUnavailable() | PoolExhausted():
            return DatabaseAway()
    return InternalError(f"{type(error).__name__}: {error}")
