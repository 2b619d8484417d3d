"""Groups of images that must be on one side of a split."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tsukiji.curation.copies import Copies, Read
from tsukiji.curation.duplicates import Numbers, Settle, alike, unite
from tsukiji.curation.snapshots import SnapshotItem
from tsukiji.vision.phash import PLAIN

DISTANCE: Final = 6
"""Bits of 64 up to which two pictures may be near-duplicates. Scaling, recompression and brightness cost 0 to 6; none
of the 80,000 pairs of 400 photos of one kind was closer than 14."""
BROAD: Final = 20
LOOKS: Final = 30_000
"""Most pairs to compare: a user waits for the split."""

Unit = list[int]
"""Positions of items."""


@dataclass(frozen=True)
class Groups:
    """Groups of two and more, as positions of items; all in order."""

    near: list[Unit]
    """Near-duplicates."""
    own: dict[str, Unit]
    """The user's groups, by name; some hold one image."""
    units: list[Unit]
    """Both kinds merged, and every other item by itself: each item is in exactly one."""
    broad: frozenset[str]
    """Labels whose images are so similar that a smaller distance was used."""


def unread(_: Sequence[str]) -> Mapping[str, bytes]:
    """Return no miniatures: then the hash alone decides."""
    return {}


def group(items: Sequence[SnapshotItem], read: Read = unread) -> Groups:
    own: dict[str, Unit] = defaultdict(list)
    for position, item in enumerate(items):
        if item.group is not None:
            own[item.group].append(position)
    near, broad = near_duplicates(items, read)
    return Groups(near, dict(own), joined(len(items), [*near, *own.values()]), broad)


def near_duplicates(items: Sequence[SnapshotItem], read: Read = unread) -> tuple[list[Unit], frozenset[str]]:
    """Return the groups of near-duplicates, and the labels for which a smaller distance was used.

    Hashes propose pairs; miniatures, read by image id, decide, or the hash if there is none. If a group holds more than
    half of a label's images, and more than 20, the whole label looks alike (a fixed camera), and nothing could be held
    out. Such a group is split at 4, 2 and 0 bits.
    """
    total = Counter(label for item in items for label in item.strata)
    hashed = np.array([n for n, item in enumerate(items) if item.phash and item.phash != PLAIN], dtype=np.intp)
    hashes = np.array([int(items[n].phash or PLAIN, 16) for n in hashed], dtype=np.uint64)
    ids, names = ([getattr(items[n], name) for n in hashed] for name in ("image_id", "sha256"))
    copies = Copies(ids, names, hashes, read, unseen=True, most=LOOKS, chained=True)
    found: list[Unit] = []
    broad: set[str] = set()
    left = [(np.arange(len(hashed)), DISTANCE)]
    while left:
        places, distance = left.pop()
        settle = None if read is unread else settled(copies, places)
        for part in parts(alike(hashes[places], distance, settle)):
            unit = hashed[places[part]].tolist()
            counts = Counter(label for position in unit for label in items[position].strata)
            wide = [label for label, count in counts.items() if count > max(BROAD, total[label] / 2)]
            if wide and distance > 0:
                broad.update(wide)
                left.append((places[part], distance - 2))
            elif len(unit) > 1:
                found.append(unit)
    return sorted(found), frozenset(broad)


def settled(copies: Copies, places: Numbers) -> Settle:
    return lambda roots, left, right: copies.settle(roots, np.stack([left, right], axis=1), places)


def joined(count: int, groups: Iterable[Unit]) -> list[Unit]:
    """Return a partition of `count` items: items that share a group, directly or transitively, are together."""
    roots = np.arange(count)
    pairs = [(unit[0], other) for unit in groups for other in unit[1:]]
    if pairs:
        left, right = np.array(pairs, dtype=np.intp).T
        unite(roots, left, right)
    return [part.tolist() for part in parts(roots)]


def parts(numbers: Numbers) -> list[Numbers]:
    """Return the positions of each number, lowest first."""
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else []
