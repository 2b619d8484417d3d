"""Embeddings in a few numbers: enough to compare pictures by, and the same of a picture whatever its data set.

A random projection keeps distances within some percent (Johnson and Lindenstrauss, 1984); other than principal
components it depends on no other picture, so that what was projected once stays good when pictures are added.
"""

from functools import cache
from typing import Final

import numpy as np

from tsukiji.vision.feature_cache import Floats

DIMENSIONS: Final = 256
SEED: Final = 0


def compact(embeddings: Floats, num_middle: int) -> Floats:
    """Return (N, DIMENSIONS), each of length 1, of embeddings (N, E) as `tsukiji.vision.model` makes them.

    Its three parts (means before the last stage, then largest and means of the last) count alike.
    """
    half = num_middle + (embeddings.shape[1] - num_middle) // 2
    parts = np.split(embeddings, [num_middle, half], axis=1)
    return unit(np.concatenate([unit(part) for part in parts], axis=1) @ projection(embeddings.shape[1]))


def unit(rows: Floats) -> Floats:
    """Return the rows at length 1; a row of zeros stays as it is."""
    whole: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return whole


@cache
def projection(width: int) -> Floats:
    # Of numpy's generators only this one promises the same numbers for ever.
    return np.random.RandomState(SEED).standard_normal((width, DIMENSIONS)).astype(np.float32)
