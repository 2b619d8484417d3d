"""Snapshots: frozen data sets, and comparisons of two of them."""

from datetime import datetime
from typing import Literal

from tsukiji.types.base import Answer, Box, Page, Split

ChangeKind = Literal["added", "removed", "relabelled", "resplit", "recropped"]
DatasetFormat = Literal["imagefolder", "huggingface", "csv", "jsonl"]


class Snapshot(Answer):
    """A frozen list of images with label, split and crop; equal lists have equal hashes."""

    object: Literal["snapshot"] = "snapshot"
    id: str
    dataset_id: str | None
    sha256: str
    images: int
    created_at: datetime
    links: dict[str, str] = {}


class SnapshotChange(Answer):
    """One image that differs. The old values of an added image are null, as are the new values of a removed one."""

    image_id: str
    name: str
    sha256: str
    changes: list[ChangeKind]
    label_a: str | None = None
    label_b: str | None = None
    labels_a: list[str] | None = None
    """All labels; of images of a `multi_label` data set only these, and no `label_a`."""
    labels_b: list[str] | None = None
    split_a: Split | None = None
    split_b: Split | None = None
    crop_a: Box | None = None
    crop_b: Box | None = None


class SnapshotComparison(Page[SnapshotChange]):
    """Changes from snapshot a to snapshot b. An image that was relabelled and resplit counts in both."""

    a: str
    b: str
    equal: bool
    added: int
    removed: int
    relabelled: int
    resplit: int
    recropped: int
    unchanged: int
