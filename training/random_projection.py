"""Compact embeddings: enough to compare pictures by, and independent of the rest of the data set.

A random projection preserves distances within some percent (Johnson and Lindenstrauss, 1984). Unlike principal
components it depends on no other picture, so stored projections remain valid when pictures are added.
"""

from functools import cache
from typing import Final

import numpy as np

from tsukiji.vision.feature_cache import Floats

DIMENSIONS: Final = 256
SEED: Final = 0


def compact(embeddings: Floats, num_middle: int) -> Floats:
    """Return (N, DIMENSIONS), each of length 1, of embeddings (N, E) from `tsukiji.vision.model`.

    The three parts (means before the last stage, maxima and means of the last) have equal weight.
    """
    half = num_middle + (embeddings.shape[1] - num_middle) // 2
    parts = np.split(embeddings, [num_middle, half], axis=1)
    return unit(np.concatenate([unit(part) for part in parts], axis=1) @ projection(embeddings.shape[1]))


def unit(rows: Floats) -> Floats:
    """Return the rows scaled to length 1; zero rows are unchanged."""
    whole: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return whole


@cache
def projection(width: int) -> Floats:
    # The only numpy generator that guarantees the same numbers in every version.
    return np.random.RandomState(SEED).standard_normal((width, DIMENSIONS)).astype(np.float32)
