"""Candidates for copies: pairs with similar perceptual hashes of the pictures or of windows of them.

A hash survives scaling, recompression and brightness, but not cropping; so the hashes of five windows of each picture
are compared too. `tsukiji.curation.copies` judges the candidates.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tsukiji.vision.likeness import lines
from tsukiji.vision.phash import SIDE, hash_greys

RADIUS: Final = 12
"""Bits of 64 in which hashes of candidates may differ."""
WINDOW: Final = 0.94
PLACES: Final = ((0.5, 0.5), (0, 0), (0, 1), (1, 0), (1, 1))
"""Positions of the hashed windows: in the middle and in the corners."""
VIEWS: Final = 1 + len(PLACES)
ROWS: Final = 64
COLUMNS: Final = 65_536
CLOSEST: Final = 4

Greys = NDArray[np.uint8]
"""(N, SIDE, SIDE)."""
Floats = NDArray[np.float32]
Hashes = NDArray[np.uint64]
"""(N, VIEWS): of each picture, then of its windows; the first is 0 for a picture without structure."""
Pairs = NDArray[np.intp]
"""(P, 2)."""
Check = Callable[[], None]
"""Called regularly; raises to stop."""


def hash_views(greys: Greys) -> Hashes:
    rest = 1 - WINDOW
    windows = [hash_greys(cut(greys, rest * down, rest * across, WINDOW)) for down, across in PLACES]
    return np.stack([hash_greys(greys), *windows], axis=1)


def candidates(hashes: Hashes, first: int, check: Check) -> Pairs:
    """Return pairs that are worth comparing, at least one of each at position `first` or later.

    Each picture is compared with all before it, and paired with at most the `CLOSEST` of them, so that ten thousand
    frames of one camera give no millions of pairs; the closest pair of each comes first.
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
    """Return the closest rows of each picture, with their rank instead of the third column."""
    ordered = close[np.lexsort((close[:, 1], close[:, 2], close[:, 0]))]
    fresh = np.flatnonzero(np.diff(ordered[:, 0], prepend=-1))
    ranks = np.arange(len(ordered)) - np.repeat(fresh, np.diff(fresh, append=len(ordered)))
    return np.concatenate([ordered, ranks[:, None]], axis=1)[ranks < CLOSEST]


def cut(greys: NDArray[Any], top: float, left: float, side: float) -> Floats:
    """Return windows of pictures, scaled up to full size; positions and sizes are fractions of the side."""
    down, across = (lines(np.array([start]), np.array([side]), SIDE)[0] for start in (top, left))
    whole: Floats = down @ greys.astype(np.float32) @ across.T
    return whole
