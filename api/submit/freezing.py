"""Snapshots on request, and comparisons of two. Knows no HTTP."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import cast, get_args

from api.services import Services
from db import registry
from db.curation import datasets
from db.models import Image, Snapshot
from tsukiji.curation import snapshots
from tsukiji.curation.snapshots import SnapshotItem
from tsukiji.types import ChangeKind, SnapshotChange, Split


def freeze(services: Services, dataset: str) -> tuple[Snapshot, bool]:
    """Freeze the labelled images in use, with the splits that a training would use; returns (row, is new).

    An unchanged data set returns its existing snapshot.

    Raises:
        NotFound
    """
    with services.database.reading() as session:
        dataset_id = datasets.find(session, dataset).id
        items = [frozen_item(image) for image in datasets.labelled_images(session, dataset_id)]
    blob = services.store.put(snapshots.dumps(items))
    with services.database.transaction() as session:
        dataset_id = datasets.find(session, dataset_id).id
        if known := registry.find_frozen(session, dataset_id, blob.sha256):
            return known, False
        return registry.add_snapshot(session, dataset_id, blob.sha256, blob.size, len(items)), True


def frozen_item(image: Image) -> SnapshotItem:
    return replace(datasets.snapshot_item(image), split=cast("Split | None", image.split or image.drawn_split))


@dataclass(frozen=True)
class Compared:
    a: Snapshot
    b: Snapshot
    changes: list[SnapshotChange]
    unchanged: int

    @property
    def counts(self) -> dict[ChangeKind, int]:
        found = Counter(kind for change in self.changes for kind in change.changes)
        return {kind: found[kind] for kind in get_args(ChangeKind)}


def compare(services: Services, a: str, b: str) -> Compared:
    """Match the images of two snapshots by content.

    Raises:
        NotFound
    """
    with services.database.reading() as session:
        rows = [registry.find_snapshot(session, snapshot_id) for snapshot_id in (a, b)]
    before, after = (snapshots.loads(services.store.read(row.sha256)) for row in rows)
    changes = snapshots.compare(before, after)
    new = sum("added" in change.changes for change in changes)
    return Compared(rows[0], rows[1], changes, len(after) - new - sum(both(change) for change in changes))


def both(change: SnapshotChange) -> bool:
    """Return whether the image is in both, and changed."""
    return "added" not in change.changes and "removed" not in change.changes
