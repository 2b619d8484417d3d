"""Data sets, their images, edits and snapshots."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.boxes import BoxText
from db.clock import now
from db.models.access import Owned
from db.models.base import Base, LabelText, one_of
from tsukiji.types import Box


class OfDataset:
    """What those see who see its data set."""

    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))


class Dataset(Owned, Base):
    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("project_id", "name"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    kind: Mapped[str] = mapped_column(String(12), default="single_label")
    created_at: Mapped[datetime] = mapped_column(default=now())


class Image(OfDataset, Base):
    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("dataset_id", "sha256"),
        Index("ix_images_dataset_excluded", "dataset_id", "excluded", "id"),
        Index("ix_images_dataset_review", "dataset_id", "review", "id"),
        Index("ix_images_dataset", "dataset_id", "id"),
        # `split` comes last, so that a label and split are found in the index alone.
        Index("ix_images_dataset_label", "dataset_id", "label", "id", "split"),
        Index("ix_images_dataset_split", "dataset_id", "split", "id"),
        CheckConstraint("split IS NULL OR " + one_of("split", ("train", "valid", "test")), name="split"),
    )
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    name: Mapped[str] = mapped_column(Text)
    label: Mapped[str | None] = mapped_column(LabelText)
    """One label or, where the data set's images have several, a set as `tsukiji.labels.join_labels` writes it."""
    split: Mapped[str | None] = mapped_column(String(5))
    """Set by the user."""
    drawn_split: Mapped[str | None] = mapped_column(String(5))
    """Drawn by the first training, and kept by later ones."""
    group: Mapped[str | None] = mapped_column("group_name", String(200))
    """Set by the user: pictures of one group always share a split."""
    phash: Mapped[str | None] = mapped_column(String(16))
    """Perceptual hash, 64 bits in hex; null for images older than this column."""
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    format: Mapped[str] = mapped_column(String(10))
    crop: Mapped[Box | None] = mapped_column(BoxText)
    """The part of the picture in use."""
    excluded: Mapped[bool] = mapped_column(default=False)
    """Kept, but not used for anything."""
    review: Mapped[str | None] = mapped_column(String(8))
    """Review of an image from a corrected prediction: `pending`, `accepted` or `rejected`."""
    dismissed: Mapped[str | None] = mapped_column(LabelText)
    """Kinds of findings that a person dismissed, as `db.curation.open_findings` writes them."""
    created_at: Mapped[datetime] = mapped_column(default=now())


class Revision(OfDataset, Base):
    """An edit of a data set: one field of any number of images. `db.curation.revisions` makes and undoes them."""

    __tablename__ = "revisions"
    __table_args__ = (Index("ix_revisions_dataset", "dataset_id", "id"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    act: Mapped[str] = mapped_column(String(20))
    field: Mapped[str] = mapped_column(String(10))
    description: Mapped[str] = mapped_column(Text)
    images: Mapped[int] = mapped_column(default=0)
    """How many it changed."""
    created_by: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="SET NULL"))
    author: Mapped[str | None] = mapped_column(String(200))
    """The key's name at the time."""
    undoes: Mapped[str | None] = mapped_column(String(40))
    undone_by: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(default=now())


class RevisionChange(Base):
    """What a revision changed on one image, as text. Deleted together with the image."""

    __tablename__ = "revision_changes"
    __table_args__ = (Index("ix_revision_changes_image", "image_id", "revision_id"),)
    revision_id: Mapped[str] = mapped_column(ForeignKey("revisions.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    before: Mapped[str | None] = mapped_column(LabelText)
    after: Mapped[str | None] = mapped_column(LabelText)


class ImageName(Base):
    """Another name or label under which a known picture was added."""

    __tablename__ = "image_names"
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    name_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Of name and label, which may be too long for a key."""
    name: Mapped[str] = mapped_column(Text)
    label: Mapped[str | None] = mapped_column(LabelText)


class Snapshot(Owned, Base):
    """A frozen list of images; the list itself is the blob of this hash (`tsukiji.curation.snapshots`)."""

    __tablename__ = "snapshots"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"), index=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    images: Mapped[int]
    leakage: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=now())
