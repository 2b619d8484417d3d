"""Groups of close perceptual hashes. Exact, and far faster than comparing all pairs.

Two hashes that differ in at most d of 64 bits agree in at least one of d + 1 bands of bits, for any partition into
bands (the pigeonhole principle; Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index Hashing",
2012). So only hashes that share a band are compared.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

BITS = 64
COMPARED_AT_ONCE = 2_000_000
REACH = 2048
"""In a larger bucket each hash is compared with only this many that follow it in sorted order."""
CLOSEST = 8
"""Most pairs per hash of a bucket to judge."""

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.intp]
Settle = Callable[[Numbers, Numbers, Numbers], object]
"""Takes roots and both sides of pairs; judges the pairs, closest first, and merges those that belong together."""


def alike(hashes: Hashes, distance: int, settle: Settle | None = None) -> Numbers:
    """Return a group number for each hash: the same for those within `distance` bits, directly or transitively.

    With `settle`, that decides which of these pairs are one group. It gets a bounded number of pairs for each hash, the
    closest ones.
    """
    if settle is None:
        unique, places = np.unique(hashes, return_inverse=True)
        roots = np.arange(len(unique))
        if distance > 0:
            for members in buckets(unique, distance + 1):
                compare(unique, members, distance, roots)
        return roots[places]
    roots = np.arange(len(hashes))
    for members in buckets(hashes, distance + 1):
        compare(hashes, members, distance, roots, settle)
    return roots


def buckets(hashes: Hashes, bands: int) -> Iterator[Numbers]:
    """Yield the positions of hashes that agree in one band of their bits, for each band."""
    for band in range(bands):
        # The bits of a band are spread: neighbouring bits are neighbouring frequencies, which correlate.
        keys = hashes & np.uint64(sum(1 << bit for bit in range(band, BITS, bands)))
        order = np.lexsort((hashes, keys))
        edges = np.flatnonzero(np.diff(keys[order])) + 1
        yield from (members for members in np.split(order, edges) if len(members) > 1)


def compare(hashes: Hashes, members: Numbers, distance: int, roots: Numbers, settle: Settle | None = None) -> None:
    """Compare all pairs of these members, a block of rows at a time, and merge close ones."""
    values = hashes[members]
    reach = len(members) if settle is None else min(len(members), REACH)
    step = max(1, COMPARED_AT_ONCE // reach)
    for start in range(0, len(members), step):
        if np.ptp(roots[members[start:]]) == 0:
            return  # one group already
        apart = np.bitwise_count(values[start : start + step, None] ^ values[start : start + step + reach])
        left, right = np.nonzero(np.triu(apart <= distance, 1))
        one, other = members[start + left], members[start + right]
        if settle is None:
            unite(roots, one, other)
            continue
        fresh = roots[one] != roots[other]
        chosen = closest(left[fresh], apart[left[fresh], right[fresh]])
        settle(roots, one[fresh][chosen], other[fresh][chosen])


def closest(rows: Numbers, apart: NDArray[np.uint8]) -> Numbers:
    """Return the positions of the `CLOSEST` pairs of each row, the closest of all first; rows are in order."""
    order = np.lexsort((apart, rows))
    fresh = np.flatnonzero(np.diff(rows[order], prepend=-1))
    ranks = np.arange(len(order)) - np.repeat(fresh, np.diff(fresh, append=len(order)))
    kept = order[ranks < CLOSEST]
    return kept[np.argsort(apart[kept], kind="stable")]


def unite(roots: Numbers, left: Numbers, right: Numbers) -> None:
    """Merge the groups of each pair, in place: union-find over whole arrays (Shiloach and Vishkin, 1982).

    `roots[i]` is the lowest member of i's group, before and after.
    """
    while True:
        first, second = roots[left], roots[right]
        apart = first != second
        if not apart.any():
            return
        left, right, first, second = left[apart], right[apart], first[apart], second[apart]
        np.minimum.at(roots, np.maximum(first, second), np.minimum(first, second))
        while not np.array_equal(roots, shorter := roots[roots]):
            roots[:] = shorter
