"""Chunks of a batch, and what they produce."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.boxes import BoxText
from db.clock import now
from db.models.base import Base, LabelText, one_of
from db.models.jobs import Leased
from tsukiji.jobs import JobStatus
from tsukiji.types import Box


class Chunk(Leased, Base):
    """A slice of a batch: items `first_seq` to `last_seq`, both inclusive."""

    __tablename__ = "chunks"
    __table_args__ = (
        CheckConstraint(one_of("status", JobStatus), name="status"),
        Index("ix_chunks_job_status", "job_id", "status", "first_seq"),
        Index("ix_chunks_status_lease", "status", "lease_expires_at"),
    )
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    first_seq: Mapped[int]
    last_seq: Mapped[int]
    items_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    """A list with these items and possibly others (`db.parts.item_lists`), of a batch whose items are not rows."""
    part_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    """The results (`db.parts.tables`), if they are in the store."""
    part: Mapped[dict[str, Any] | None]
    """What is in them, and where they are: `db.jobs.batches.Part`."""
    error: Mapped[dict[str, Any] | None]
    """Why none of these items has a result."""


class BatchItem(Base):
    """One image to classify. `error` is set if it is known in advance that it cannot be."""

    __tablename__ = "batch_items"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    custom_id: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    crop: Mapped[Box | None] = mapped_column(BoxText)
    """The part of the picture to classify."""
    true_label: Mapped[str | None] = mapped_column(LabelText)
    error: Mapped[dict[str, Any] | None]


class Prediction(Base):
    """One image's result: a label with its score, or an error. `probabilities` is read by `db.probabilities`."""

    __tablename__ = "predictions"
    __table_args__ = (
        # The index covers all filters and orders, so pages are chosen without reading the wide rows.
        Index("ix_predictions_score", "job_id", "score", "seq", "known_score"),
        Index("ix_predictions_label", "job_id", "label", "score", "seq", "known_score"),
    )
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str | None] = mapped_column(String(200))
    score: Mapped[float | None]
    known_score: Mapped[float | None]
    probabilities: Mapped[bytes | None] = mapped_column(LargeBinary)
    labels: Mapped[str | None] = mapped_column(LabelText)
    """The set predicted by a multi-label model, as `tsukiji.labels.join_labels` writes it."""
    tags: Mapped[list[Any] | None]
    """Tags with their places, if requested."""
    heatmap: Mapped[dict[str, Any] | None]
    """Explanation of the prediction, if requested."""
    width: Mapped[int | None]
    height: Mapped[int | None]
    error: Mapped[dict[str, Any] | None]


class BatchDrift(Base):
    """The pictures of a batch as counts, and the test of them against those that the model's training held out.

    Kept when the batch's results are deleted: no picture can be told from it.
    """

    __tablename__ = "batch_drifts"
    __table_args__ = (Index("ix_batch_drifts_model", "model_id", "job_id"),)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    model_id: Mapped[str] = mapped_column(String(40))
    """No foreign key: a worker holds the job's row, which the deletion of the model waits for."""
    distribution: Mapped[bytes] = mapped_column(LargeBinary)
    """A `tsukiji.vision.drift.Distribution`."""
    strange: Mapped[int | None]
    """Null until the batch has succeeded, and without a reference; `expected` and `p_value` too."""
    expected: Mapped[float | None]
    p_value: Mapped[float | None]
    exceeded: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now())


class BatchGuarantee(Base):
    """What was promised of a batch's decisions; its sample is drawn when the batch has succeeded."""

    __tablename__ = "batch_guarantees"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    decided: Mapped[int]
    broken: Mapped[bool] = mapped_column(default=False)


class GuaranteeCheck(Base):
    """A decision of the sample, in its order, and what a person said of it."""

    __tablename__ = "guarantee_checks"
    job_id: Mapped[str] = mapped_column(ForeignKey("batch_guarantees.job_id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    seq: Mapped[int]
    correct: Mapped[bool | None]
    """Null until a person has told the label."""
    checked_at: Mapped[datetime | None]
