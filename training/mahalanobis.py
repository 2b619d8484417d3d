"""Class means and a shared covariance, for `tsukiji.vision.out_of_distribution`. Arrays only."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tsukiji.vision.out_of_distribution import Means, unit_parts
from tsukiji.vision.shapes import AXES, SCORES

EVENED: Final = 0.2
"""How far each feature's variance is shrunk towards the mean of all: few pictures estimate it poorly."""
LEAST_SHRUNK: Final = 1e-3
TINY: Final = 1e-12

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]


def fit(learnt: Floats, classes: Ints, held_out: Floats, middle: int, axes: int = AXES) -> Means:
    """Return the statistics as stored in a package.

    Args:
        learnt: features of training pictures, (M, D), M >= 1.
        classes: their class numbers, (M,).
        held_out: of held-out ones, (N, D), N >= 1.
        middle: how many of the D features are means of earlier maps, see `Means`.
        axes: most pictures to use for the covariance.
    """
    rows, numbers = unit_parts(learnt, middle), np.unique(classes, return_inverse=True)[1]
    order, counts = np.argsort(numbers, kind="stable"), np.bincount(numbers)
    means = np.add.reduceat(rows[order], np.cumsum(counts) - counts) / counts[:, None]
    some = np.random.default_rng(0).permutation(len(rows))[:axes]
    spread = rows[some].astype(np.float64) - means[numbers[some]]
    variances = np.square(spread).mean(axis=0, keepdims=True) + TINY
    usual = variances.mean()
    scales = np.sqrt(usual / ((1 - EVENED) * variances + EVENED * usual))
    parts = (scales, means * scales, axes_of(spread * scales))
    known = Means(np.empty(0, np.float32), middle, *(part.astype(np.float16).astype(np.float32) for part in parts))
    found = np.sort(known.similarities(held_out))
    if len(found) > SCORES:
        found = np.quantile(found, np.linspace(0, 1, SCORES)).astype(np.float32)
    return replace(known, held_out=found)


def axes_of(spread: Doubles) -> Doubles:
    """Return `Means.axes` (M, D) from the deviations (M, D) of M pictures from the means of their classes.

    Their covariance S is shrunk to (1 - s) S + s v I, where v is the mean variance, with the s of Ledoit and Wolf. It
    is inverted by Woodbury's identity, because there are fewer pictures than features.
    """
    images, features = spread.shape
    products = spread @ spread.T / images
    variance, size = np.trace(products) / features, np.square(products).sum()
    noise = np.square(np.diag(products)).sum() - size / images
    signal = size - features * variance**2
    shrinkage = max(noise / signal, LEAST_SHRUNK) if noise < signal else 1.0
    inner = (1 - shrinkage) * products + (shrinkage * variance + TINY) * np.eye(images)
    axes: Doubles = np.linalg.inv(np.linalg.cholesky(inner)) @ spread * np.sqrt((1 - shrinkage) / images)
    return axes
