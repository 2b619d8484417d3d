"""Which of many perceptual hashes lie close together. Exact, and far from comparing each with each; knows no pictures.

Two hashes that differ in at most d of 64 bits agree wholly in one of d + 1 bands of bits, however the bits are dealt
(the pigeonhole principle; Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", 2012).
So only hashes that share a band are compared.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BITS = 64
COMPARED_AT_ONCE = 2_000_000

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.intp]


def alike(hashes: Hashes, distance: int) -> Numbers:
    """Return a group number for each hash: the same for those within `distance` bits, directly or over others."""
    unique, places = np.unique(hashes, return_inverse=True)
    roots = np.arange(len(unique))
    if distance > 0:
        for members in buckets(unique, distance + 1):
            compare(unique, members, distance, roots)
    return roots[places]


def buckets(hashes: Hashes, bands: int) -> Iterator[Numbers]:
    """Yield the positions of hashes that agree in one band of their bits, for each band."""
    for band in range(bands):
        # The bits of a band lie apart: neighbours, which are neighbouring frequencies, go together too often.
        keys = hashes & np.uint64(sum(1 << bit for bit in range(band, BITS, bands)))
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(np.diff(keys[order])) + 1
        yield from (members for members in np.split(order, edges) if len(members) > 1)


def compare(hashes: Hashes, members: Numbers, distance: int, roots: Numbers) -> None:
    """Compare each of these members with each, a block of rows at a time, and unite those that are close."""
    values = hashes[members]
    step = max(1, COMPARED_AT_ONCE // len(members))
    for start in range(0, len(members), step):
        if np.ptp(roots[members[start:]]) == 0:
            return  # one group already: there is nothing to learn
        near = np.bitwise_count(values[start : start + step, None] ^ values[start:]) <= distance
        left, right = np.nonzero(np.triu(near, 1))
        unite(roots, members[start + left], members[start + right])


def unite(roots: Numbers, left: Numbers, right: Numbers) -> None:
    """Put the groups of each pair together, in place: union-find over whole arrays (Shiloach and Vishkin, 1982).

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
