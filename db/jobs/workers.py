"""Workers that are alive, by their heartbeats."""

from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.blobs import upsert
from db.clock import now
from db.jobs.leases import HELD, TABLES
from db.models import WorkerSeen
from tsukiji import __version__
from tsukiji.kernel.predict_rpc import RpcAddress

RPC_ADDRESSES = select(WorkerSeen.worker, WorkerSeen.lane_host, WorkerSeen.lane_port, WorkerSeen.lane_secret).order_by(
    WorkerSeen.queue, WorkerSeen.worker
)


def report(
    session: Session,
    worker: str,
    queue: str,
    device: str | None,
    address: RpcAddress | None = None,
    weights: list[str] | None = None,
    engines: list[dict[str, Any]] | None = None,
) -> None:
    """Record a worker's heartbeat: its version, device, predict RPC's address, weights and engines' speeds."""
    values: dict[str, Any] = {
        "queue": queue,
        "device": device,
        "weights": weights,
        "engines": engines,
        "version": __version__,
        "seen_at": now(),
    }
    for name in ("host", "port", "secret"):
        values[f"lane_{name}"] = address and getattr(address, name)
    insert = upsert(session, WorkerSeen).values(worker=worker, **values)
    session.execute(insert.on_conflict_do_update(index_elements=[WorkerSeen.worker], set_=values))


def present(session: Session, seconds: float) -> list[WorkerSeen]:
    """Return the workers that reported within this time."""
    query = select(WorkerSeen).where(WorkerSeen.seen_at > now(-seconds))
    return list(session.scalars(query.order_by(WorkerSeen.queue, WorkerSeen.worker)))


def rpc_addresses(session: Session, seconds: float) -> list[RpcAddress]:
    """Return the predict RPC addresses of the workers that reported within this time."""
    rows = session.execute(RPC_ADDRESSES.where(WorkerSeen.seen_at > now(-seconds)))
    return [RpcAddress(worker, host, port, secret) for worker, host, port, secret in rows if host and port and secret]


def reachable_weights(session: Session, queue: str, seconds: float) -> set[str] | None:
    """Return the pretrained weights that at least one worker of a queue can load; None where that is unknown.

    It is unknown while no worker has reported: a job may wait for one.
    """
    told = [row.weights for row in present(session, seconds) if row.queue == queue]
    return {name for names in told for name in names or []} if told and None not in told else None


def count_present(session: Session, seconds: float) -> dict[str, int]:
    """Count the workers that reported within this time, by queue."""
    query = select(WorkerSeen.queue, func.count()).where(WorkerSeen.seen_at > now(-seconds)).group_by(WorkerSeen.queue)
    return dict(session.execute(query).all())


def count(session: Session, queue: str, seconds: float) -> int:
    """Return how many workers of a queue reported within this time."""
    there = (WorkerSeen.queue == queue, WorkerSeen.seen_at > now(-seconds))
    return session.scalar(select(func.count()).where(*there)) or 0


def idle(session: Session, seconds: float) -> dict[str, int]:
    """Count idle workers that reported within this time, by queue."""
    holds = [select(table.id).where(table.lease_owner == WorkerSeen.worker, table.status.in_(HELD)) for table in TABLES]
    free = (WorkerSeen.seen_at > now(-seconds), *(~rows.exists() for rows in holds))
    query = select(WorkerSeen.queue, func.count()).where(*free).group_by(WorkerSeen.queue)
    return dict(session.execute(query).all())


def leave(session: Session, worker: str) -> None:
    session.execute(delete(WorkerSeen).where(WorkerSeen.worker == worker))
