"""Draws splits: stratified, seeded, stable across trainings, and without leakage.

Splits set by the user are kept; only if nothing is set as `valid`, some of `train` is held out. Images of one group
(`tsukiji.curation.groups`) are on one side. An image with several labels counts for each of them; having none counts as
one more label. Knows no database.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import chain
from typing import Final

from tsukiji.curation.copies import Read
from tsukiji.curation.groups import Groups, Unit, group, unread
from tsukiji.curation.snapshots import NO_LABEL, SnapshotItem
from tsukiji.curation.stratify import held_out
from tsukiji.labels import is_set
from tsukiji.types import Leakage, Split

OTHER: Final[dict[Split, Split]] = {"train": "valid", "valid": "train"}

Sides = list[Split | None]
"""The split of each item; None while undecided."""


@dataclass(frozen=True)
class Draw:
    """Items with splits, and observations about them."""

    items: list[SnapshotItem]
    leakage: Leakage = field(default_factory=Leakage)
    straddling_groups: Sequence[str] = ()
    """The user's groups on both sides, because the user set their splits."""
    straddling_near: int = 0
    """Groups of near-duplicates on both sides, for the same reason."""
    cramped: Sequence[str] = ()
    """Labels that cannot be both trained on and held out, because their images belong together."""
    broad: Sequence[str] = ()
    """Labels whose images are so similar that a smaller distance for near-duplicates was used."""
    drawn: Mapping[str, Split] = field(default_factory=dict)
    """Splits decided here and not by the user, by image id."""
    taken: Sequence[str] = ()
    """Labels with held-out images that the user set as `train`, because nothing is set as `valid`."""


def assign_splits(
    items: Iterable[SnapshotItem],
    *,
    valid_fraction: float,
    seed: int,
    drawn: Mapping[str, Split] | None = None,
    read: Read = unread,
) -> Draw:
    """Give every item without a split one, and return all items in order.

    Given splits are kept, with one exception: if no image at all is given as `valid`, as in data sets published as
    `train` and `test`, the `train` images of labels without anything held out become undecided too.

    Undecided items follow those of their group with a split: `test` before `train` before `valid`, so that nothing
    similar to a test image is trained on. Then items keep the split `drawn` (image id -> split) by an earlier training;
    a group that was divided goes where most of it was. From the others, as many groups are held out, in the order of a
    hash of seed and content, as bring each label closest to `valid_fraction` of its undecided items; every label gets
    at least one of each if its groups allow it. If every label has `valid` items from the user, those are the
    validation set, and nothing is added.

    `read` returns the miniatures of images, used to detect near-duplicates.
    """
    items = list(items)
    groups = group(items, read)
    drawn = drawn or {}
    sides = settle(items, groups.units, drawn, valid_fraction, seed)
    given = items
    if freed := to_hold_out(items, sides, groups.units):
        items = [replace(item, split=None) if n in freed else item for n, item in enumerate(items)]
        drawn = {image_id: side for image_id, side in drawn.items() if side != "test"}
        sides = settle(items, groups.units, drawn, valid_fraction, seed)
    done = [replace(item, split=side) for item, side in zip(items, sides, strict=True)]
    tied = {position for unit in groups.units if len(unit) > 1 for position in unit if items[position].split is None}
    moved = 0
    if tied:
        alone = settle(items, [[position] for position in range(len(items))], drawn, valid_fraction, seed)
        moved = sum(alone[position] != sides[position] for position in tied)
    return replace(
        report(done, groups, tied, moved),
        drawn={
            item.image_id: item.split
            for item, before in zip(done, items, strict=True)
            if item.split and not before.split
        },
        taken=sorted({label for n in freed if sides[n] == "valid" for label in given[n].labels}),
    )


def to_hold_out(items: Sequence[SnapshotItem], sides: Sides, units: Sequence[Unit]) -> set[int]:
    """Return the images given as `train` that may be held out: none if anything is given as `valid`.

    They have labels that would otherwise have nothing held out, and are not similar to any `test` image.
    """
    if any(item.split == "valid" for item in items):
        return set()
    held_out = {label for item, side in zip(items, sides, strict=True) if side == "valid" for label in item.strata}
    return {
        position
        for unit in units
        if all(items[position].split != "test" for position in unit)
        for position in unit
        if items[position].split == "train" and not held_out.issuperset(items[position].strata)
    }


def settle(
    items: Sequence[SnapshotItem], units: Sequence[Unit], drawn: Mapping[str, Split], valid_fraction: float, seed: int
) -> Sides:
    """Return the side of each item; all items of a unit are on one, except those that the user set otherwise."""
    sides: Sides = [item.split for item in items]
    movable: list[Unit] = []
    fresh: list[Unit] = []
    for unit in units:
        given = {side for position in unit if (side := items[position].split)}
        before = [drawn.get(items[position].image_id) for position in unit]
        side = leading(given, [kept for kept in before if kept])
        for position in unit:
            sides[position] = sides[position] or side
        if side is None:
            fresh.append(unit)
        if not given and side != "test":
            movable.append(unit)
    hold_out(items, sides, sorted(fresh, key=lambda unit: rank(items, unit, seed)), valid_fraction)
    fill_gaps(items, sides, movable, {unit[0] for unit in fresh}, seed)
    return sides


def leading(given: set[Split], drawn: Sequence[Split]) -> Split | None:
    """Return the side of a unit's undecided items: the user's, else the one most of them had before."""
    for side in ("test", "train", "valid"):
        if side in given or (side == "test" and not given and side in drawn):
            return side
    if not drawn:
        return None
    return "train" if 2 * drawn.count("train") >= len(drawn) else "valid"


def hold_out(items: Sequence[SnapshotItem], sides: Sides, fresh: Sequence[Unit], valid_fraction: float) -> None:
    """Assign the units without a side, in order: `valid` while their labels need it, else `train`."""
    need, room = wanted(items, sides, valid_fraction)
    if any(is_set(item.label) for item in items):
        chosen = held_out([labels_of(items, unit) for unit in fresh], [len(unit) for unit in fresh], need)
        for position, unit in enumerate(fresh):
            place(sides, unit, "valid" if position in chosen else "train")
        return
    left: list[tuple[Unit, Counter[str]]] = []
    for unit in fresh:
        labels = labels_of(items, unit)
        if all(count <= need[label] for label, count in labels.items()):
            place(sides, unit, "valid")
            need.subtract(labels)
            room.subtract(labels)
        else:
            left.append((unit, labels))
    for unit, labels in left:  # a group larger than what is missing may still bring its labels closer
        gain = sum(abs(need[label]) - abs(need[label] - count) for label, count in labels.items())
        if gain > 0 and all(count <= room[label] for label, count in labels.items()):
            place(sides, unit, "valid")
            need.subtract(labels)
            room.subtract(labels)
        else:
            place(sides, unit, "train")


def wanted(items: Sequence[SnapshotItem], sides: Sides, fraction: float) -> tuple[Counter[str], Counter[str]]:
    """Return how many more images of each label should be held out, and how many more could be."""
    open_ = ((item, side) for item, side in zip(items, sides, strict=True) if not item.split)
    undecided = [(label, side) for item, side in open_ for label in item.strata]
    pool = Counter(label for label, side in undecided if side != "test")
    before = Counter(label for label, side in undecided if side == "valid")
    given = {(label, item.split) for item in items for label in item.strata}
    if all((label, "valid") in given for label, _ in given):
        fraction = 0.0
    need: Counter[str] = Counter()
    room: Counter[str] = Counter()
    for label, count in pool.items():
        most = count - ((label, "train") not in given)
        least = (label, "valid") not in given
        need[label] = max(0, min(most, max(least, int(count * fraction + 0.5))) - before[label])
        room[label] = max(0, most - before[label])
    return need, room


def fill_gaps(items: Sequence[SnapshotItem], sides: Sides, movable: Sequence[Unit], fresh: set[int], seed: int) -> None:
    """Give each label without `train` or `valid` a unit that can move there without causing another gap.

    Prefers units that were not drawn before, then small ones. `fresh` holds the first positions of those.
    """
    counts: dict[str, Counter[Split | None]] = defaultdict(Counter)
    for item, side in zip(items, sides, strict=True):
        for label in item.strata:
            counts[label][side] += 1
    gaps = [(label, side) for label in sorted(counts) for side in OTHER if not counts[label][side]]
    if not gaps:
        return
    units: dict[str, list[Unit]] = defaultdict(list)
    for unit in sorted(movable, key=lambda unit: (unit[0] not in fresh, len(unit), rank(items, unit, seed))):
        for label in labels_of(items, unit):
            units[label].append(unit)
    for label, side in gaps:
        for unit in units[label]:
            labels = labels_of(items, unit)
            if all(sides[position] == OTHER[side] for position in unit) and all(
                counts[name][OTHER[side]] > count for name, count in labels.items()
            ):
                place(sides, unit, side)
                for name, count in labels.items():
                    counts[name].update({side: count, OTHER[side]: -count})
                break


def labels_of(items: Sequence[SnapshotItem], unit: Unit) -> Counter[str]:
    """Return how many images of a unit have each label."""
    return Counter(label for position in unit for label in items[position].strata)


def place(sides: Sides, unit: Unit, side: Split) -> None:
    for position in unit:
        sides[position] = side


def rank(items: Sequence[SnapshotItem], unit: Unit, seed: int) -> tuple[bytes, str]:
    """Return the unit's position in the draw: that of its first image."""
    return min(
        (blake2b(f"{seed}:{items[n].sha256}".encode(), digest_size=16).digest(), items[n].image_id) for n in unit
    )


def report(items: list[SnapshotItem], groups: Groups, tied: set[int], moved: int) -> Draw:
    """Return the finished items with observations; `tied` are undecided items of groups."""

    def straddles(unit: Unit) -> bool:
        return len({items[position].split for position in unit}) > 1

    leakage = Leakage(
        near_duplicate_groups=len(groups.near),
        near_duplicates=len(set(chain.from_iterable(groups.near))),
        moved=moved,
        straddling=sum(map(straddles, groups.units)),
        groups=len(groups.own),
    )
    present = {(label, item.split) for item in items for label in item.strata}
    bound = {label for n in tied if items[n].split != "test" for label in items[n].labels}
    return Draw(
        items,
        leakage,
        straddling_groups=sorted(name for name, unit in groups.own.items() if straddles(unit)),
        straddling_near=sum(map(straddles, groups.near)),
        cramped=sorted(label for label in bound if not {(label, "train"), (label, "valid")} <= present),
        broad=sorted(groups.broad - {NO_LABEL}),
    )
