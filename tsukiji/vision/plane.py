"""A plane through features, so that a data set can be seen at once: principal components."""

import numpy as np

from tsukiji.vision.feature_cache import Floats


def principal_plane(rows: Floats) -> tuple[Floats, tuple[float, float]]:
    """Return the positions (N, 2) of rows (N, D) along their two principal axes, scaled to -1 to 1, and the parts of
    the variance along these.

    Each axis points to where its largest coordinate is positive, so that the same rows give the same plane.
    """
    if not len(rows):
        return np.empty((0, 2), np.float32), (0.0, 0.0)
    centred = rows - rows.mean(axis=0)
    variances, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    first = axes[:, [-1, -2]]
    first = first * np.where(first[np.abs(first).argmax(axis=0), [0, 1]] < 0, -1, 1)
    positions = centred @ first.astype(np.float32)
    whole = max(float(variances.clip(0).sum()), 1e-12)
    explained = float(variances[-1].clip(0) / whole), float(variances[-2].clip(0) / whole)
    return np.asarray(positions / max(float(np.abs(positions).max()), 1e-12), np.float32), explained
