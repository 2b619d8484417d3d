"""What rows tell about the state of the whole service, for `/metrics`."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from db.clock import now
from db.jobs import leases, workers
from db.models import BatchDrift, Chunk, Job, Webhook, WebhookDelivery
from tsukiji.jobs import ACTIVE, PRESENT_SECONDS, QUEUE_OF, JobKind, Queue

KINDS = {queue: [kind for kind in QUEUE_OF if QUEUE_OF[kind] == queue] for queue in Queue}


@dataclass(frozen=True)
class QueueState:
    """What waits in a queue: jobs, or chunks of batches.

    Attributes:
        depth: how many there are.
        oldest_seconds: since when the oldest waits; 0 if none does.
        workers: how many reported lately.
    """

    depth: int
    oldest_seconds: float
    workers: int


def queues(session: Session) -> dict[Queue, QueueState]:
    there = workers.count_present(session, PRESENT_SECONDS)
    return {queue: queue_state(session, queue, there.get(queue, 0)) for queue in Queue}


def queue_state(session: Session, queue: Queue, there: int) -> QueueState:
    if queue == Queue.INFER:
        found = select(func.count(), func.min(Job.created_at)).select_from(Chunk).join(Job, Chunk.job_id == Job.id)
        query = found.where(*leases.waits(Chunk))
    else:
        query = select(func.count(), func.min(Job.created_at)).where(Job.kind.in_(KINDS[queue]), *leases.waits(Job))
    depth, oldest = session.execute(query).one()
    moment = session.scalar(select(now()))
    waited = (moment - oldest).total_seconds() if moment and oldest else 0.0
    return QueueState(depth, max(0.0, waited), there)


def active_jobs(session: Session) -> Sequence[tuple[JobKind, str, int]]:
    """Return kind, status and number of the unfinished jobs."""
    rows = select(Job.kind, Job.status, func.count()).where(Job.status.in_(ACTIVE)).group_by(Job.kind, Job.status)
    return [(JobKind(kind), status, count) for kind, status, count in session.execute(rows).all()]


def pending_deliveries(session: Session) -> int:
    return count(session, WebhookDelivery, WebhookDelivery.status == "pending")


def strange_batches(session: Session, seconds: float) -> int:
    """Return how many batches of this time have other pictures than those that their models were judged on."""
    return count(session, BatchDrift, BatchDrift.exceeded & (BatchDrift.created_at > now(-seconds)))


def failing_webhooks(session: Session) -> int:
    """Return how many fail, or were disabled because they did."""
    by_itself = Webhook.disabled_at.is_(None) | (Webhook.disabled_because != "asked")
    failing = Webhook.failing_since.is_not(None) & by_itself
    return count(session, Webhook, failing)


def count(session: Session, table: type[BatchDrift | Webhook | WebhookDelivery], condition: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(table).where(condition)) or 0
