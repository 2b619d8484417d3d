"""A snapshot: the frozen, content-hashed list of images that one training sees. Knows no pixels and no database."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from tsukiji.errors import Invalid
from tsukiji.types import Split

LATER: Final = ("group", "phash")
"""Fields that the first snapshots lack: left out where they are None, so that the hash of such an item stays."""


@dataclass(frozen=True, slots=True)
class SnapshotItem:
    """One labelled image; `split` is None until somebody decides it."""

    image_id: str
    sha256: str
    name: str
    label: str
    split: Split | None = None
    group: str | None = None
    """The user's own: images of one group never stand on both sides."""
    phash: str | None = None
    """Perceptual hash, 16 hex digits; None of an image that came before there was one."""


def dumps(items: Iterable[SnapshotItem]) -> bytes:
    """Return the canonical form, JSON lines sorted by content; its SHA-256 is the snapshot's hash."""
    ordered = sorted(items, key=lambda item: (item.sha256, item.image_id))
    lines = (json.dumps(_fields(item), sort_keys=True, separators=(",", ":")) + "\n" for item in ordered)
    return "".join(lines).encode()


def loads(data: bytes) -> list[SnapshotItem]:
    """Read what `dumps` wrote.

    Raises:
        Invalid: the bytes are no snapshot.
    """
    try:
        return [SnapshotItem(**json.loads(line)) for line in data.splitlines()]
    except (TypeError, ValueError) as error:
        raise Invalid(f"These bytes are not a snapshot: {error}.") from error


def _fields(item: SnapshotItem) -> dict[str, Any]:
    return {name: value for name, value in asdict(item).items() if value is not None or name not in LATER}
