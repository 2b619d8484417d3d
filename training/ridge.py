"""Ridge regression on class membership, with held-out predictions in closed form. Knows no network and no pictures.

The residual of a row that was left out follows from its residual and its leverage (the PRESS formula; Rifkin and
Lippert, "Notes on regularized least squares", 2007), and that of a group from the group's block of the hat matrix. So
every row is judged by all others for the price of one decomposition, and the penalty is chosen by the same predictions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

LEAST_POWER: Final = 1e-7
"""Directions with so little of the largest one's variance are noise."""


@dataclass(frozen=True)
class Ridge:
    """Scores of features (N, D) are `(features - mean) @ weights + shares`, (N, C): near 0..1, not probabilities."""

    mean: Floats
    weights: Floats
    shares: Floats

    def scores(self, features: Floats) -> Floats:
        found: Floats = (features - self.mean) @ self.weights + self.shares
        return found


def fit(
    features: Floats, targets: Floats, penalties: Sequence[float], groups: Ints | None = None
) -> tuple[Ridge, Floats]:
    """Return the regression with the best penalty, and the scores (N, C) of each row by a fit to all others.

    Args:
        features: (N, D).
        targets: 1 where a row is of a class, else 0; (N, C).
        penalties: of the squared weights, beside the sum of squared errors.
        groups: rows of equal number are left out together, (N,); by default each row alone.
    """
    rows = features.astype(np.float64)  # what is left of a row without itself may be a ten-thousandth
    mean, shares = rows.mean(axis=0), targets.mean(axis=0)
    rows = rows - mean
    basis, powers = _decompose(rows)
    projected = basis.T @ (targets - shares)
    together = [] if groups is None else _several(groups)
    best: tuple[float, float, Floats] | None = None
    for penalty in penalties:
        kept = powers / (powers + penalty)
        residuals = targets - shares - basis @ (kept[:, None] * projected)
        # The mean counts, too: without its part a row's own label comes back through the mean of the others.
        leverage = (basis**2) @ kept + 1 / len(rows)
        held_out = residuals / np.maximum(1 - leverage, 1e-9)[:, None]
        for group in together:
            block = np.eye(len(group)) - (basis[group] * kept) @ basis[group].T - 1 / len(rows)
            held_out[group] = np.linalg.lstsq(block, residuals[group], rcond=None)[0]
        error = float(np.square(held_out).mean())
        if best is None or error < best[0]:
            best = error, penalty, targets - held_out
    if best is None:
        raise ValueError("no penalties")
    _, penalty, scores = best
    weights = rows.T @ (basis @ (projected / (powers + penalty)[:, None]))
    return Ridge(mean, weights, shares), scores


def _several(groups: Ints) -> list[NDArray[np.intp]]:
    """Return the rows of each group that has more than one."""
    order = np.argsort(groups, kind="stable")
    bounds = np.flatnonzero(np.diff(groups[order])) + 1
    return [part for part in np.split(order, bounds) if len(part) > 1]


def _decompose(rows: Floats) -> tuple[Floats, Floats]:
    """Return the left singular vectors (N, K) and squared singular values (K,), by the smaller of the two products."""
    if len(rows) <= rows.shape[1]:
        powers, basis = np.linalg.eigh(rows @ rows.T)
        good = powers > max(powers[-1], 0) * LEAST_POWER
        return basis[:, good], powers[good]
    powers, directions = np.linalg.eigh(rows.T @ rows)
    good = powers > max(powers[-1], 0) * LEAST_POWER
    return (rows @ directions[:, good]) / np.sqrt(powers[good]), powers[good]
