"""What is found out about a data set's images."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.clock import now
from db.models.base import Base, LabelText
from db.models.datasets import OfDataset


class ImageMiniature(Base):
    """A small version of a picture for comparison (`tsukiji.vision.miniature`)."""

    __tablename__ = "image_miniatures"
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    pixels: Mapped[bytes] = mapped_column(LargeBinary)


class ImageMeasures(Base):
    """Measures of a picture, computed once. The scores are those of `tsukiji.vision.quality`."""

    __tablename__ = "image_measures"
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    blurry: Mapped[float]
    dark: Mapped[float]
    light: Mapped[float]
    low_information: Mapped[float]
    grayscale: Mapped[float]
    hashes: Mapped[bytes] = mapped_column(LargeBinary)
    """Of the picture and of windows of it, as `tsukiji.curation.analysis.similar` compares them."""
    compared: Mapped[bool] = mapped_column(default=False)
    """Compared with all others already; near-duplicates of later pictures are searched by these hashes."""


class Analysis(OfDataset, Base):
    """The last analysis of a data set; its results are in `findings`."""

    __tablename__ = "analyses"
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(40))
    images: Mapped[int]
    unavailable: Mapped[list[Any]]
    """Checks that could not run, with reasons."""
    prevalent: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Kinds of findings that many images have, with counts."""
    finished_at: Mapped[datetime] = mapped_column(default=now())


class Finding(OfDataset, Base):
    """Something about an image that a person should check. Lower scores come first."""

    __tablename__ = "findings"
    __table_args__ = (Index("ix_findings_order", "dataset_id", "kind", "score", "group_id", "image_id"),)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(24), primary_key=True)
    score: Mapped[float]
    group_id: Mapped[str] = mapped_column(String(40), default="")
    """Images that belong together; empty for a finding about one image."""
    suggestion: Mapped[dict[str, Any] | None]
    label: Mapped[str | None] = mapped_column(LabelText)
    """The label of the image at the time of the analysis."""


class Suggestion(OfDataset, Base):
    """Where the last round of suggestions put an image that had no label then (`training.piles`)."""

    __tablename__ = "suggestions"
    __table_args__ = (Index("ix_suggestions_order", "dataset_id", "pile", "rank", "image_id"),)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    pile: Mapped[str] = mapped_column(String(220))
    label: Mapped[str | None] = mapped_column(String(200))
    """The likeliest one, also of a doubtful image; null before there are two labels."""
    score: Mapped[float]
    """Probability of the label; before there are two labels, likeness to the middle of the cluster."""
    rank: Mapped[int]
    """Within the pile."""


class LabelSuspect(Base):
    """An image whose label may be wrong, according to a model's training; rank 1 is the most suspicious."""

    __tablename__ = "label_suspects"
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[str | None] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    split: Mapped[str] = mapped_column(String(5))
    label: Mapped[str] = mapped_column(LabelText)
    suggested_label: Mapped[str] = mapped_column(LabelText)
    score: Mapped[float]
