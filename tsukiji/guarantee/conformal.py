"""Sets of labels that contain the true one with a given probability, whatever the model: conformal prediction.

Adaptive prediction sets (Romano, Sesia and Candes, "Classification with valid and adaptive coverage", NeurIPS 2020):
labels join from the likeliest on, as many as for the given part of the held-out pictures reach the true one. The last
one joins with a chance that makes the coverage exact; the chance is drawn from the picture's content, so that a picture
has one answer. A model that is right more often than asked for therefore has empty sets.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]


def places(probabilities: Floats, chances: Floats) -> Floats:
    """Return how far down each label is, (N, C): the probability of likelier ones, and a part of its own.

    Args:
        probabilities: (N, C).
        chances: 0 to 1, one for each picture, (N,).
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(probabilities, order, axis=1).astype(np.float64)
    found = np.empty_like(ranked)
    np.put_along_axis(found, order, np.cumsum(ranked, axis=1) - ranked * (1 - chances[:, None]), axis=1)
    return found


def limit(true_places: Floats, coverage: float) -> float | None:
    """Return the limit up to which labels join, given the places of N true labels; None: all do."""
    images = len(true_places)
    rank = math.ceil((images + 1) * coverage)
    return float(np.sort(true_places)[rank - 1]) if rank <= images else None


def members(places: Floats, limit: float | None) -> NDArray[np.bool_]:
    """Return which labels are in each set, (N, C)."""
    return np.ones(places.shape, np.bool_) if limit is None else places <= limit


def chance(sha256: str) -> float:
    """Return a picture's chance, 0 to 1, drawn from its content."""
    return int.from_bytes(hashlib.sha256(f"conformal {sha256}".encode()).digest()[:6], "big") / 2**48
