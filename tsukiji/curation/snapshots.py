"""A snapshot: the frozen, content-hashed list of a training's images. Knows no pixels and no database."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from tsukiji.errors import Invalid
from tsukiji.labels import label_members, split_labels
from tsukiji.types import Box, ChangeKind, SnapshotChange, Split

LATER: Final = ("group", "phash", "crop")
"""Fields missing in early snapshots: omitted if None, so that the hash of such an item is stable."""

NO_LABEL: Final = ""
"""Represents the empty set when labels are counted; no label is empty."""


@dataclass(frozen=True, slots=True)
class SnapshotItem:
    """One labelled image; `split` is None until decided."""

    image_id: str
    sha256: str
    name: str
    label: str
    """One, or a set as `tsukiji.labels.join_labels` writes it."""
    split: Split | None = None
    group: str | None = None
    """Set by the user: images of one group are never on both sides."""
    phash: str | None = None
    """Perceptual hash, 16 hex digits; None for images older than this field."""
    crop: Box | None = None
    """The part of the picture in use."""

    @property
    def labels(self) -> list[str]:
        """All labels, sorted."""
        return split_labels(self.label)

    @property
    def strata(self) -> list[str]:
        """What a split must have on both sides: the image's labels, or that it has none."""
        return self.labels or [NO_LABEL]


def dumps(items: Iterable[SnapshotItem]) -> bytes:
    """Return the canonical form, JSON lines sorted by content; its SHA-256 is the snapshot's hash."""
    ordered = sorted(items, key=lambda item: (item.sha256, item.image_id))
    lines = (json.dumps(_fields(item), sort_keys=True, separators=(",", ":")) + "\n" for item in ordered)
    return "".join(lines).encode()


def loads(data: bytes) -> list[SnapshotItem]:
    """Read what `dumps` wrote.

    Raises:
        Invalid: the bytes are not a snapshot.
    """
    try:
        return [_item(json.loads(line)) for line in data.splitlines()]
    except (TypeError, ValueError) as error:
        raise Invalid(f"These bytes are not a snapshot: {error}.") from error


def compare(a: Iterable[SnapshotItem], b: Iterable[SnapshotItem]) -> list[SnapshotChange]:
    """Return the images, matched by content, that differ between the two; by name."""
    before, after = ({item.sha256: item for item in items} for items in (a, b))
    pairs = ((before.get(sha256), after.get(sha256)) for sha256 in before.keys() | after.keys())
    found = (_change(*pair) for pair in pairs)
    return sorted((change for change in found if change.changes), key=lambda change: (change.name, change.sha256))


def _change(a: SnapshotItem | None, b: SnapshotItem | None) -> SnapshotChange:
    known = b or a
    assert known is not None
    changes: list[ChangeKind] = []
    if a is None or b is None:
        changes = ["added" if a is None else "removed"]
    else:
        kinds: dict[ChangeKind, bool] = {
            "relabelled": a.label != b.label,
            "resplit": a.split != b.split,
            "recropped": a.crop != b.crop,
        }
        changes = [kind for kind, differs in kinds.items() if differs]
    was, now = (label_members(item.label if item else None) for item in (a, b))
    return SnapshotChange(
        image_id=known.image_id,
        name=known.name,
        sha256=known.sha256,
        changes=changes,
        label_a=was["label"],
        label_b=now["label"],
        labels_a=was["labels"],
        labels_b=now["labels"],
        split_a=a and a.split,
        split_b=b and b.split,
        crop_a=a and a.crop,
        crop_b=b and b.crop,
    )


def _item(fields: dict[str, Any]) -> SnapshotItem:
    crop = fields.pop("crop", None)
    return SnapshotItem(**fields, crop=crop and tuple(crop))


def _fields(item: SnapshotItem) -> dict[str, Any]:
    return {name: value for name, value in asdict(item).items() if value is not None or name not in LATER}
