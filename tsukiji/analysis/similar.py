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
DOUBT: Final = 0.35
"""Correlation in few places below which more places would not help."""
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

    Few places decide most pairs; only those in doubt are looked at in all.

    Args:
        left: (P, SIDE, SIDE); each pair takes half a megabyte.
        right: the same, to be compared one by one.
    """
    one, other = left.astype(np.float32), right.astype(np.float32)
    found = overlay(one, other, CORNERS)
    doubt = np.flatnonzero((found >= DOUBT) & (found < ALIKE))
    if len(doubt):
        found[doubt] = overlay(one[doubt], other[doubt], slice(None))
    return found


def overlay(one: Floats, other: Floats, places: slice | NDArray[np.intp]) -> Floats:
    """Return the best correlation (P,) of each with any window of the other, 0 to 1."""
    best = np.maximum(best_overlay(one, other, places), best_overlay(other, one, places))
    return best.clip(0, 1)


def best_overlay(wholes: Floats, others: Floats, places: slice | NDArray[np.intp]) -> Floats:
    """Return the best correlation (P,) of the gradients of `others` with those of the windows of `wholes`."""
    products: Floats = np.zeros((len(wholes), 1), np.float32)
    squares, own = products, products
    for down, across, steps in (
        (INNER_DOWN, STEPS_ACROSS, others[:, 1:-1, 2:] - others[:, 1:-1, :-2]),
        (STEPS_DOWN, INNER_ACROSS, others[:, 2:, 1:-1] - others[:, :-2, 1:-1]),
    ):
        windows = down[places] @ wholes[:, None] @ across[places]
        flat, seen = windows.reshape(*windows.shape[:2], -1), steps.reshape(len(steps), -1, 1)
        products = products + (flat @ seen)[..., 0]
        squares = squares + np.einsum("pkx,pkx->pk", flat, flat)
        own = own + np.einsum("pxk,pxk->pk", seen, seen)
    whole: Floats = (products / np.sqrt(np.maximum(squares * own, 1e-6))).max(axis=1)
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


PLACED: Final = list(overlay_places())
CORNERS: Final = np.array([n for n, (top, left, side) in enumerate(PLACED) if {top, left} <= {0.0, 1 - side}], np.intp)
"""The places where a corner lies on a corner, and the whole on the whole."""
DOWN: Final[Floats] = np.stack([line(top, side) for top, _, side in PLACED])
ACROSS: Final[Floats] = np.stack([line(left, side).T for _, left, side in PLACED])
# The gradient of a window is linear in its picture, so that no window has to be made for it.
INNER_DOWN: Final[Floats] = DOWN[:, 1:-1]
STEPS_DOWN: Final[Floats] = DOWN[:, 2:] - DOWN[:, :-2]
INNER_ACROSS: Final[Floats] = ACROSS[:, :, 1:-1]
STEPS_ACROSS: Final[Floats] = ACROSS[:, :, 2:] - ACROSS[:, :, :-2]
