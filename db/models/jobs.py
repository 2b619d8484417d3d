"""Jobs and the workers that run them. The state machine is in `tsukiji.jobs`; the CHECKs here are built from it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ColumnElement, Float, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.clock import now
from db.models.access import Owned
from db.models.base import Base, Identity, LabelText, one_of
from tsukiji.jobs import JobKind, JobStatus


class Leased:
    """Columns of work that one worker at a time holds: a job, or a chunk of one (`db.jobs.leases`).

    `attempt` is the fencing token: a worker's write counts only while its attempt is the newest, and holds the lease.
    """

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    status: Mapped[str] = mapped_column(String(12), default=JobStatus.QUEUED)
    attempt: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=3)
    lease_owner: Mapped[str | None] = mapped_column(String(120))
    lease_expires_at: Mapped[datetime | None]
    rests_until: Mapped[datetime | None]
    """Back-off after a temporary error: no worker claims it earlier."""

    @property
    def fence(self) -> tuple[ColumnElement[bool], ...]:
        """The conditions under which this attempt may write: it was not given back, recovered or ended."""
        table = type(self)
        return (table.id == self.id, table.attempt == self.attempt, table.lease_owner.is_not(None))


class Job(Leased, Owned, Base):
    """A job of any kind."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(one_of("status", JobStatus), name="status"),
        CheckConstraint(one_of("kind", JobKind), name="kind"),
        Index("ix_jobs_kind_created", "kind", "created_at", "id"),
        Index("ix_jobs_status_lease", "status", "lease_expires_at"),
        Index("ix_jobs_turn", "turn"),
        Index("ix_jobs_project", "project_id", "age"),
    )
    age: Mapped[str] = mapped_column(String(26), unique=True)
    """The id without its prefix: sorts jobs of all kinds by creation time."""
    kind: Mapped[str] = mapped_column(String(12))
    phase: Mapped[str | None] = mapped_column(String(40))
    priority: Mapped[int] = mapped_column(default=0)
    request: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)

    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"), index=True)
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id", ondelete="SET NULL"), index=True)
    snapshot_id: Mapped[str | None] = mapped_column(ForeignKey("snapshots.id", ondelete="SET NULL"))
    created_by: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="SET NULL"))
    retry_of: Mapped[str | None] = mapped_column(String(40))
    traceparent: Mapped[str | None] = mapped_column(String(55))
    """The trace of the request that created it, where traces are exported."""
    upload_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    table_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    """A table about an import's pictures, sent with them or alone."""
    checkpoint_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"), index=True)

    deadline_at: Mapped[datetime | None] = mapped_column(index=True)
    cancel_requested_at: Mapped[datetime | None]
    finish_requested_at: Mapped[datetime | None]

    unit: Mapped[str] = mapped_column(String(20), default="items")
    completed: Mapped[float] = mapped_column(Float, default=0)
    total: Mapped[float] = mapped_column(Float, default=0)
    eta_seconds: Mapped[float | None]
    detail: Mapped[dict[str, Any] | None]
    """Details of the progress: a training's epoch, batch and losses."""
    engine: Mapped[dict[str, Any] | None]
    """The execution plan of the last worker that classified for it."""
    planned: Mapped[bool] = mapped_column(default=False)
    """All items and chunks of this batch exist."""
    turn: Mapped[int] = mapped_column(BigInteger, default=0)
    """When a chunk of this batch was last claimed, counted in chunks of all batches: the lowest goes next."""
    items_total: Mapped[int] = mapped_column(default=0)
    items_succeeded: Mapped[int] = mapped_column(default=0)
    items_errored: Mapped[int] = mapped_column(default=0)

    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    retention_days: Mapped[float | None]
    """How long a batch keeps results and pictures after its end: 0 forever, null as the settings say then."""
    results_expire_at: Mapped[datetime | None] = mapped_column(index=True)
    """When the dispatcher deletes them; null once they are deleted."""
    results_deleted_at: Mapped[datetime | None]
    """From then on they cannot be read; their rows may remain for a moment."""


class JobEvent(Base):
    """The append-only history: who changed the job's state, when, to what, in which attempt."""

    __tablename__ = "job_events"
    __table_args__ = (Index("ix_job_events_job", "job_id", "id"),)
    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(12))
    at: Mapped[datetime] = mapped_column(default=now())
    attempt: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(String(120))
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)


class ImportItem(Base):
    """The outcome of one file of an import."""

    __tablename__ = "import_items"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str] = mapped_column(String(10))
    label: Mapped[str | None] = mapped_column(LabelText)
    image_id: Mapped[str | None] = mapped_column(String(40))
    error: Mapped[dict[str, Any] | None]


class IdempotencyKey(Base):
    """`scope` hashes the client's key with the caller and endpoint."""

    __tablename__ = "idempotency_keys"
    scope: Mapped[str] = mapped_column(String(64), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    resource_id: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(default=now(), index=True)


class QueueTurn(Base):
    """When work of a key or project was last taken from a queue, counted in work of that queue: the lowest is next."""

    __tablename__ = "queue_turns"
    queue: Mapped[str] = mapped_column(String(20), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """Or the id of the project."""
    turn: Mapped[int] = mapped_column(BigInteger)


class SharedDevice(Base):
    """A device on which workers of two queues take turns: who has it, and who waits for it."""

    __tablename__ = "shared_devices"
    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    queue: Mapped[str] = mapped_column(String(20))
    """Whose turn it is, or was."""
    worker: Mapped[str | None] = mapped_column(String(120))
    expires_at: Mapped[datetime | None]
    seconds: Mapped[float] = mapped_column(default=0.0)
    """How long the last turn took."""
    waiting: Mapped[str | None] = mapped_column(String(20))
    """The queue that waits."""
    waits_until: Mapped[datetime | None]
    """It asks again before that, unless it no longer waits."""


class WorkerSeen(Base):
    """A worker process's last heartbeat."""

    __tablename__ = "workers_seen"
    worker: Mapped[str] = mapped_column(String(120), primary_key=True)
    queue: Mapped[str] = mapped_column(String(20))
    device: Mapped[str | None] = mapped_column(String(60))
    lane_host: Mapped[str | None] = mapped_column(String(255))
    lane_port: Mapped[int | None]
    lane_secret: Mapped[str | None] = mapped_column(String(64))
    """Authenticates worker and API to each other."""
    weights: Mapped[list[str] | None] = mapped_column(JSON)
    """Pretrained weights that it can load; null for workers that do not train, or do not say."""
    engines: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)
    """`EngineSpeed`s of its machine, fastest first; null for workers that embed no pictures."""
    version: Mapped[str | None] = mapped_column(String(40))
    """Of its program; null for workers of versions that did not say."""
    seen_at: Mapped[datetime] = mapped_column(default=now())
