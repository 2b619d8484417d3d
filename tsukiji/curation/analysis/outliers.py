"""Outliers: images far from their nearest neighbours. Arrays only.

The mean cosine similarity to the nearest neighbours (Sun, Ming, Zhu and Li, "Out-of-distribution detection with deep
nearest neighbors", ICML 2022), among an even selection of all; beyond Tukey's fence an image is an outlier.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS: Final = 5
BANK: Final = 2048
BLOCK: Final = 2048
FENCE: Final = 2.0
"""Interquartile ranges below the lower quartile."""
ENOUGH: Final = 20
"""Images needed to tell what is usual."""

Floats = NDArray[np.float32]


def find_outliers(vectors: Floats) -> list[tuple[int, float]]:
    """Return (image, similarity to its neighbours in 0..1) of the outliers among vectors (N, D) of length 1."""
    if len(vectors) < ENOUGH:
        return []
    similar = neighbourhood(vectors)
    low, high = np.percentile(similar, (25, 75))
    return [(int(image), float(similar[image].clip(0, 1))) for image in np.flatnonzero(similar < fence(low, high))]


def fence(low: float, high: float) -> float:
    return low - FENCE * (high - low)


def neighbourhood(vectors: Floats) -> Floats:
    """Return the mean cosine similarity (N,) to the nearest others."""
    step = -(-len(vectors) // BANK)
    bank = np.ascontiguousarray(vectors[::step].T)
    count = min(NEIGHBOURS, bank.shape[1] - 1)
    found = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), BLOCK):
        products = vectors[start : start + BLOCK] @ bank
        own = np.arange(start, start + len(products))
        inside = own % step == 0
        products[inside, own[inside] // step] = -np.inf
        found[start : start + BLOCK] = np.partition(products, -count, axis=1)[:, -count:].mean(axis=1)
    return found
