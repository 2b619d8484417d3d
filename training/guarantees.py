"""What a model can promise, from pictures that it has not learnt from: thresholds and prediction sets."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.metrics import SEED, cross_fitted, fit_temperature
from tsukiji.guarantee import conformal, selective
from tsukiji.types import Metrics
from tsukiji.types.batches import COVERAGES
from tsukiji.types.guarantees import SetLimit
from tsukiji.vision.predictor import softmax

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def add(
    metrics: Metrics, truth: Ints, taken_for: Ints, scores: Floats, shares: Floats, known: Bools, candidates: int = 1
) -> None:
    """Add guarantees and prediction sets to the metrics of N images of a single-label model.

    Args:
        metrics: to add to; without images nothing is added.
        truth: class numbers, (N,).
        taken_for: predicted ones, (N,).
        scores: probabilities of those, (N,), see `decision_scores`.
        shares: probabilities of all classes, (N, C), by a temperature that other images chose.
        known: whether each image resembles what the model knows, (N,).
        candidates: among how many networks these images chose.
    """
    if len(truth):
        found = selective.evidence(scores, truth, taken_for, known, metrics.label_names, candidates)
        metrics.selective = found
        metrics.guarantees = [selective.guarantee(found, target) for target in selective.TARGETS]
        metrics.prediction_sets = set_limits(shares, truth, COVERAGES)


def decision_scores(logits: Floats, truth: Ints) -> Floats:
    """Return each image's top probability by a temperature that it did not choose, (N,).

    With two labels a temperature changes no order, and guarantees rest on the order alone: it is the one served.
    """
    if logits.shape[1] > 2:
        return np.asarray(cross_fitted(logits, truth).max(axis=1), np.float32)
    return np.asarray(softmax(logits / np.float32(fit_temperature(logits, truth))).max(axis=1))


def set_limits(shares: Floats, truth: Ints, coverages: Sequence[float]) -> list[SetLimit]:
    """Return the limits of prediction sets, and the sets' mean size on these images, given probabilities (N, C)."""
    found = conformal.places(shares, np.random.default_rng(SEED).random(len(truth)))
    mine = found[np.arange(len(truth)), truth]
    limits = [conformal.limit(mine, coverage) for coverage in coverages]
    return [
        SetLimit(coverage=coverage, limit=limit, mean_size=float(conformal.members(found, limit).sum(axis=1).mean()))
        for coverage, limit in zip(coverages, limits, strict=True)
    ]
