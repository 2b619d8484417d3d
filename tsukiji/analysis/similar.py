"""Near-duplicates: found by perceptual hashes, then verified on the pixels. Knows no files.

A hash survives scaling, recompression and light, but not the cutting of edges; so the hashes of five windows of each
picture are compared, too. What is close is verified: one picture, or a part of it, is laid over the other at several
scales and places, and their gradients are correlated, which are blind to light (normalised cross-correlation of
gradient fields; Scharstein, "Matching images by comparing their gradient fields", ICPR 1994). docs/analysis.md has the
figures behind the constants.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tsukiji.duplicates import Numbers, unite
from tsukiji.vision.phash import SIDE, hash_greys

RADIUS: Final = 12
"""Bits of 64 in which hashes may differ to be looked at closer."""
ALIKE: Final = 0.65
"""Correlation from which on two pictures are near-duplicates. Planted ones reach 0.79 and more, others 0.46 at most."""
WINDOW: Final = 0.94
PLACES: Final = ((0.5, 0.5), (0, 0), (0, 1), (1, 0), (1, 1))
"""Where the windows lie whose hashes are kept: in the middle and in the corners."""
VIEWS: Final = 1 + len(PLACES)
SCALES: Final = (0.96, 0.92, 0.88)
STEPS: Final = 4
"""Places for each axis at which a part is laid over the other picture."""
ROWS: Final = 64
COLUMNS: Final = 65_536
PAIRS: Final = 64
CLOSEST: Final = 4

Greys = NDArray[np.uint8]
"""(N, SIDE, SIDE)."""
Floats = NDArray[np.float32]
Hashes = NDArray[np.uint64]
"""(N, VIEWS): of each picture, then of its windows; the first is 0 where a picture shows nothing."""
Pairs = NDArray[np.intp]
"""(P, 2)."""
Check = Callable[[], None]
"""Called now and then; raises to stop."""


def hash_views(greys: Greys) -> Hashes:
    rest = 1 - WINDOW
    windows = [hash_greys(cut(greys, rest * down, rest * across, WINDOW)) for down, across in PLACES]
    return np.stack([hash_greys(greys), *windows], axis=1)


def candidates(hashes: Hashes, first: int, check: Check) -> Pairs:
    """Return the pairs that are worth a closer look, of which one at least stands at `first` or after it.

    Each picture is held against all before it, and goes with the `CLOSEST` of them at most, so that ten thousand frames
    of one camera make no millions of pairs; the closest pair of each comes first.
    """
    found = [np.empty((0, 4), np.intp)]
    for start in range(first, len(hashes), ROWS):
        check()
        stop = min(start + ROWS, len(hashes))
        close = [
            _close(hashes, slice(start, stop), slice(begin, min(begin + COLUMNS, stop)))
            for begin in range(0, stop, COLUMNS)
        ]
        found.append(_closest(np.concatenate(close)))
    whole = np.concatenate(found)
    pairs: Pairs = whole[np.argsort(whole[:, 3], kind="stable"), :2]
    return pairs


def _close(hashes: Hashes, rows: slice, columns: slice) -> Pairs:
    """Return (picture, earlier picture, distance) of those within the radius."""
    left, right = hashes[rows], hashes[columns]
    least = np.bitwise_count(left[:, :1] ^ right[:, 0])
    for view in range(1, VIEWS):
        np.minimum(least, np.bitwise_count(left[:, view, None] ^ right[:, 0]), out=least)
        np.minimum(least, np.bitwise_count(left[:, :1] ^ right[:, view]), out=least)
    one, other = np.nonzero(least <= RADIUS)
    distance = least[one, other].astype(np.intp)
    one, other = one + rows.start, other + columns.start
    shown = (hashes[one, 0] != 0) & (hashes[other, 0] != 0)
    close: Pairs = np.stack([one, other, distance], axis=1)[(one > other) & shown]
    return close


def _closest(close: Pairs) -> Pairs:
    """Return of each picture the closest rows, with their rank in place of a fourth column."""
    ordered = close[np.lexsort((close[:, 1], close[:, 2], close[:, 0]))]
    fresh = np.flatnonzero(np.diff(ordered[:, 0], prepend=-1))
    ranks = np.arange(len(ordered)) - np.repeat(fresh, np.diff(fresh, append=len(ordered)))
    return np.concatenate([ordered, ranks[:, None]], axis=1)[ranks < CLOSEST]


def verify(pairs: Pairs, greys: Mapping[int, Greys], roots: Numbers, check: Check) -> tuple[Pairs, Floats]:
    """Return the pairs that are alike, with how much; in `roots` their groups are united.

    A pair whose group is one already is passed over: there is nothing to learn.

    Args:
        pairs: of positions, the most promising first.
        greys: the pictures (SIDE, SIDE) by position.
        roots: the group of each position, as `tsukiji.duplicates.unite` has it.
        check: called now and then.
    """
    kept, found = [np.empty((0, 2), np.intp)], [np.empty(0, np.float32)]
    for start in range(0, len(pairs), PAIRS):
        check()
        part = pairs[start : start + PAIRS]
        part = part[roots[part[:, 0]] != roots[part[:, 1]]]
        if not len(part):
            continue
        left, right = (np.stack([greys[position] for position in side]) for side in part.T.tolist())
        alike = similarities(left, right)
        part, alike = part[alike >= ALIKE], alike[alike >= ALIKE]
        unite(roots, part[:, 0], part[:, 1])
        kept.append(part)
        found.append(alike)
    return np.concatenate(kept), np.concatenate(found)


def similarities(left: Greys, right: Greys) -> Floats:
    """Return how alike the pictures of each pair (P,) are, 0 to 1: of two that are laid over each other at their best.

    Args:
        left: (P, SIDE, SIDE); each pair takes a megabyte.
        right: the same, to be compared one by one.
    """
    one, other = left.astype(np.float32), right.astype(np.float32)
    best: Floats = np.maximum(best_overlay(one, other), best_overlay(other, one)).clip(0, 1)
    return best


def best_overlay(wholes: Floats, others: Floats) -> Floats:
    """Return the best correlation (P,) of `others` with any window of `wholes`."""
    overlays = (DOWN @ wholes[:, None] @ ACROSS).astype(np.float32, copy=False)
    products = gradients(overlays) @ gradients(others)[:, :, None]
    best: Floats = products[..., 0].max(axis=1)
    return best


def gradients(pictures: Floats) -> Floats:
    """Return the gradients of pictures (..., SIDE, SIDE) as vectors of length 1."""
    across = (pictures[..., :, 2:] - pictures[..., :, :-2])[..., 1:-1, :]
    down = (pictures[..., 2:, :] - pictures[..., :-2, :])[..., :, 1:-1]
    flat = np.concatenate([part.reshape(*part.shape[:-2], -1) for part in (across, down)], axis=-1)
    whole: Floats = flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-6)
    return whole


def cut(greys: NDArray[Any], top: float, left: float, side: float) -> Floats:
    """Return windows of pictures, scaled up to the whole; all three as parts of the whole side."""
    whole: Floats = line(top, side) @ greys.astype(np.float32) @ line(left, side).T
    return whole


def line(start: float, length: float) -> Floats:
    """Return the matrix (SIDE, SIDE) that takes a part of a line, by linear interpolation."""
    places = ((np.arange(SIDE) + 0.5) * length + start * SIDE - 0.5).clip(0, SIDE - 1)
    below = np.floor(places).astype(int).clip(0, SIDE - 2)
    matrix = np.zeros((SIDE, SIDE), np.float32)
    matrix[np.arange(SIDE), below] = 1 - (places - below)
    matrix[np.arange(SIDE), below + 1] = places - below
    return matrix


def overlay_places() -> Iterator[tuple[float, float, float]]:
    """Yield (top, left, side) of the windows that are laid over another picture."""
    yield 0.0, 0.0, 1.0
    for side in SCALES:
        starts = np.linspace(0, 1 - side, STEPS)
        yield from ((float(top), float(left), side) for top in starts for left in starts)


DOWN: Final[Floats] = np.stack([line(top, side) for top, _, side in overlay_places()])
ACROSS: Final[Floats] = np.stack([line(left, side).T for _, left, side in overlay_places()])
