"""Nearest neighbours by cosine similarity."""

import numpy as np
from numpy.typing import NDArray

BLOCK = 256
"""Images whose similarities to all others are in memory at once."""

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]


def nearest(vectors: Floats, images: Ints, count: int) -> Ints:
    """Return the positions (M, count) of the most similar other images, nearest first.

    Args:
        vectors: of length 1, (N, D).
        images: positions to search neighbours of, (M,).
        count: how many for each; fewer if there are not as many others.
    """
    count = max(0, min(count, len(vectors) - 1))
    found = np.empty((len(images), count), np.intp)
    if not count:
        return found
    columns = np.ascontiguousarray(vectors.T)
    for start in range(0, len(images), BLOCK):
        own = images[start : start + BLOCK]
        similar = vectors[own] @ columns
        similar[np.arange(len(own)), own] = -np.inf
        best = np.argpartition(similar, -count, axis=1)[:, -count:]
        order = np.argsort(-np.take_along_axis(similar, best, axis=1), axis=1, kind="stable")
        found[start : start + BLOCK] = np.take_along_axis(best, order, axis=1)
    return found
