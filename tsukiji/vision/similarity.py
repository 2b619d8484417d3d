"""Exact search of the most similar pictures, by the cosine of their compact embeddings.

A million rows in float32 are 1 GB and one matrix product, some 20 ms on two cores: below that no index is worth its
recall, its memory and the time to keep it up to date (decision 48).
"""

import threading
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tsukiji.vision.feature_cache import Floats

BLOCK: Final = 65_536
"""Rows that are allocated at once."""
SAMPLE: Final = 200
"""Pictures whose own nearest neighbours say how near is usual."""
RENEWED: Final = 1.1
"""The sample is drawn again once there are this many times as many rows."""

Found = list[tuple[str, float]]
"""Names and cosines, the most similar first."""


class VectorIndex:
    """Rows of length 1, with a name for each; they are added and never changed. Thread-safe."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._names: list[str] = []
        self._blocks: list[Floats] = []
        self._size = 0
        self._adding = threading.Lock()
        self._usual: tuple[int, Floats] = (0, np.empty(0, np.float32))

    def __len__(self) -> int:
        return self._size

    @property
    def bytes(self) -> int:
        return sum(block.nbytes for block in self._blocks)

    def add(self, names: Sequence[str], rows: Floats) -> None:
        """Add rows (N, width) of length 1."""
        with self._adding:
            self._names.extend(names)
            done = 0
            while done < len(rows):
                place = (self._size + done) % BLOCK
                if not place:
                    self._blocks.append(np.empty((BLOCK, self._width), np.float32))
                part = rows[done : done + BLOCK - place]
                self._blocks[-1][place : place + len(part)] = part
                done += len(part)
            self._size += len(rows)

    def search(self, vector: Floats, count: int) -> Found:
        """Return at most `count` rows most similar to a vector (width,) of length 1; equal ones in their order."""
        cosines = self._cosines(vector[None])[0]
        best = top(cosines, count)
        return [(self._names[place], min(float(cosines[place]), 1.0)) for place in best.tolist()]

    def sample(self, count: int) -> tuple[list[str], Floats]:
        """Return at most `count` rows, evenly chosen from the first to the last, with their names."""
        places = spread(self._size, count)
        rows = [self._blocks[place // BLOCK][place % BLOCK] for place in places.tolist()]
        empty = np.empty((0, self._width), np.float32)
        return [self._names[place] for place in places.tolist()], np.stack(rows) if rows else empty

    def known_score(self, nearest: float) -> float | None:
        """Return the fraction of rows that are less similar to their own nearest neighbour; None if there are too few.

        Those of a sample of `SAMPLE` rows. A new picture has a low score, one of the same kind any.
        """
        size = self._size
        if size < 2:
            return None
        if size > RENEWED * self._usual[0]:
            self._usual = size, self._nearest_of_sample(size)
        usual = self._usual[1]
        return float(np.searchsorted(usual, nearest) / len(usual))

    def _nearest_of_sample(self, size: int) -> Floats:
        """Return the cosines of some rows to the nearest other row, sorted."""
        places = spread(size, SAMPLE)
        rows = np.stack([self._blocks[place // BLOCK][place % BLOCK] for place in places.tolist()])
        best = np.full(len(places), -1, np.float32)
        for start, block in self._filled(size):
            cosines = rows @ block.T
            own = np.flatnonzero((places >= start) & (places < start + len(block)))
            cosines[own, places[own] - start] = -1
            np.maximum(best, cosines.max(axis=1), out=best)
        return np.sort(best)

    def _cosines(self, vectors: Floats) -> Floats:
        size = self._size
        found = np.empty((len(vectors), size), np.float32)
        for start, block in self._filled(size):
            np.matmul(vectors, block.T, out=found[:, start : start + len(block)])
        return found

    def _filled(self, size: int) -> "list[tuple[int, Floats]]":
        """Return the first place and the rows of each block."""
        starts = range(0, size, BLOCK)
        return [(start, block[: size - start]) for start, block in zip(starts, self._blocks, strict=False)]


def spread(size: int, count: int) -> NDArray[np.intp]:
    """Return at most `count` of the places below `size`, evenly chosen."""
    count = min(size, count)
    return np.arange(count, dtype=np.intp) * size // max(count, 1)


def top(values: Floats, count: int) -> NDArray[np.intp]:
    """Return the places of the `count` highest values, the highest first."""
    count = min(count, len(values))
    if not count:
        return np.empty(0, np.intp)
    best = np.sort(np.argpartition(values, -count)[-count:])
    order: NDArray[np.intp] = best[np.argsort(-values[best], kind="stable")]
    return order
