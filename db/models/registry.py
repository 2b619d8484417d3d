"""Models, their files, aliases and evaluations."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.clock import now
from db.models.access import Owned, current_project
from db.models.base import Base, Identity, LabelText


class Model(Owned, Base):
    __tablename__ = "models"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), index=True)
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"), index=True)
    snapshot_id: Mapped[str | None] = mapped_column(ForeignKey("snapshots.id", ondelete="SET NULL"))
    training_id: Mapped[str | None] = mapped_column(String(40), index=True)
    backbone: Mapped[str] = mapped_column(String(60))
    kind: Mapped[str] = mapped_column(String(12), default="single_label")
    label_names: Mapped[list[str]]
    recipe: Mapped[dict[str, Any]]
    accuracy: Mapped[float | None]
    weights_source: Mapped[str | None] = mapped_column(Text)
    imported_from: Mapped[str | None] = mapped_column(String(40))
    """The id in its package, if trained elsewhere."""
    versions: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Versions of the programs that made it, by name."""
    parity: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Measured by workers on its own held-out images: its results in lower precisions, by precision and device;
    under `heatmap`, whether its heatmaps beat random ones."""
    held_out: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    """The `tsukiji.vision.drift.HeldOut` of its package; null in models of earlier versions."""
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now())


class ModelFile(Base):
    __tablename__ = "model_files"
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)


class ModelExport(Base):
    """A model in another format; `facts` are measurements of the conversion."""

    __tablename__ = "model_exports"
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    format: Mapped[str] = mapped_column(String(20), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    facts: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now())


class Alias(Owned, Base):
    __tablename__ = "aliases"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True, default=current_project)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), index=True)
    target_error: Mapped[float | None]
    """Of batches and predictions that name the alias and no threshold of their own."""
    confidence: Mapped[float] = mapped_column(default=0.95)
    updated_at: Mapped[datetime] = mapped_column(default=now(), onupdate=now())


class AliasMove(Owned, Base):
    """An alias's history: the newest row is its present model, the one before is the target of a roll-back."""

    __tablename__ = "alias_moves"
    __table_args__ = (Index("ix_alias_moves_name", "project_id", "name", "id"),)
    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(200))
    model_id: Mapped[str | None] = mapped_column(String(40))
    """Null when the alias was deleted."""
    moved_by: Mapped[str | None] = mapped_column(String(40))
    at: Mapped[datetime] = mapped_column(default=now())


class Evaluation(Base):
    __tablename__ = "evaluations"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"))
    snapshot_id: Mapped[str | None] = mapped_column(ForeignKey("snapshots.id", ondelete="SET NULL"))
    split: Mapped[str] = mapped_column(String(5))
    """`all`: the whole data set."""
    metrics: Mapped[dict[str, Any]]
    errored: Mapped[int] = mapped_column(default=0)
    """Images that could not be read."""
    seen_in_training: Mapped[int] = mapped_column(default=0)
    """Images that the model was trained on."""
    created_at: Mapped[datetime] = mapped_column(default=now())


class EvaluationItem(Base):
    __tablename__ = "evaluation_items"
    __table_args__ = (
        Index("ix_evaluation_items_cell", "evaluation_id", "true_label", "predicted_label", "seq"),
        Index("ix_evaluation_items_content", "evaluation_id", "sha256"),
    )
    evaluation_id: Mapped[str] = mapped_column(ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[str | None] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    true_label: Mapped[str] = mapped_column(LabelText)
    predicted_label: Mapped[str] = mapped_column(LabelText)
    score: Mapped[float]
    loss: Mapped[float]
    known_score: Mapped[float | None]
    probabilities: Mapped[bytes] = mapped_column(LargeBinary)
