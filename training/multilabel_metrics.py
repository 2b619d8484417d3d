"""Metrics of multi-label classification, from arrays.

If thresholds and temperature are fitted on the very images that are measured, metrics are cross-fitted in five folds,
as in `training/metrics.py`, so that they are not too optimistic.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.metrics import average_precision_score

from training.intervals import wilson
from training.metrics import LEAST, TEMPERATURES, THRESHOLDS, class_metrics, curves, folds, reliability
from training.targets import Sets
from tsukiji.types import Metrics
from tsukiji.types.evaluations import CalibrationMetrics, LabelCounts, MultiLabelMetrics, SetSweepPoint

Floats = NDArray[np.floating]

HALF: Final = 0.5
PRIOR_IMAGES: Final = 10
"""A label with this many images weighs its own best threshold as much as the one of all labels together."""
THRESHOLD_BOUNDS: Final = (0.05, 0.95)
"""With few images any threshold may look best; these bounds keep a label from being predicted always, or never."""


def measure_sets(
    truth: Sets,
    probabilities: Floats,
    decided: Sets,
    label_names: Sequence[str],
    thresholds: Sequence[float] | None = None,
    logits: Floats | None = None,
) -> Metrics:
    """Return all metrics of N images (at least one) and C labels.

    A ratio without a denominator is None: the precision of a label that is never predicted, all of one without images.

    Args:
        truth: which labels each image has, shape (N, C).
        probabilities: of each label, as served, shape (N, C).
        decided: which labels are predicted, shape (N, C).
        label_names: of the C labels.
        thresholds: of the labels when served, to be reported; (C,).
        logits: before any temperature, shape (N, C), if the temperature is fitted on these images.
    """
    cells = count_cells(truth, decided)
    rows = [
        class_metrics(label, right, right + surplus, right + missing)
        for label, (right, surplus, missing, _) in zip(label_names, cells, strict=True)
    ]
    right = int((truth == decided).all(axis=1).sum())
    return Metrics(
        accuracy=right / len(truth),
        accuracy_interval=wilson(right, len(truth)),
        loss=float(set_losses(truth, probabilities).mean()),
        images=len(truth),
        label_names=list(label_names),
        per_class=rows,
        confusion=[],
        curves=curves(truth, probabilities, label_names),
        calibration=calibration(truth, probabilities, logits),
        multi_label=MultiLabelMetrics(
            mean_average_precision=mean_average_precision(truth, probabilities),
            micro_f1=f1(truth, decided),
            macro_f1=mean([row.f1 for row in rows]),
            hamming_loss=float((truth != decided).mean()),
            empty=int((~truth.any(axis=1)).sum()),
            empty_found=int((~truth.any(axis=1) & ~decided.any(axis=1)).sum()),
            per_label=per_label(cells, average_precisions(truth, probabilities), label_names, thresholds),
            co_occurrence=together(truth),
            predicted_co_occurrence=together(decided),
            sweep=[sweep_point(truth, probabilities >= threshold, threshold) for threshold in THRESHOLDS],
        ),
    )


def set_losses(truth: Sets, probabilities: Floats) -> Floats:
    """Return each image's binary cross-entropy in nats, mean over its C labels, shape (N,)."""
    of_truth = np.where(truth, probabilities, 1 - probabilities)
    losses: Floats = -np.log(np.maximum(of_truth, LEAST)).mean(axis=1)
    return losses


def mean_average_precision(truth: Sets, scores: Floats) -> float | None:
    """Return the mean of the labels' average precisions; None if every label is constant.

    Args:
        truth: which labels each image has, shape (N, C).
        scores: increasing with the likelihood of the label, shape (N, C).
    """
    return mean(average_precisions(truth, scores))


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def average_precisions(truth: Sets, scores: Floats) -> list[float | None]:
    """Return each label's average precision; None where all images have the label, or none has."""
    return [
        float(average_precision_score(is_there, column)) if is_there.any() and not is_there.all() else None
        for is_there, column in zip(truth.T, scores.T, strict=True)
    ]


def count_cells(truth: Sets, decided: Sets) -> list[tuple[int, int, int, int]]:
    """Return each label's true positives, false positives, false negatives and true negatives."""
    cells = (truth & decided, ~truth & decided, truth & ~decided, ~truth & ~decided)
    found: list[tuple[int, int, int, int]] = list(zip(*(cell.sum(axis=0).tolist() for cell in cells), strict=True))
    return found


def per_label(
    cells: Sequence[tuple[int, int, int, int]],
    precisions: Sequence[float | None],
    label_names: Sequence[str],
    thresholds: Sequence[float] | None,
) -> list[LabelCounts]:
    known = [None] * len(label_names) if thresholds is None else thresholds
    return [
        LabelCounts(
            label=label,
            threshold=threshold,
            average_precision=precision,
            true_positives=right,
            false_positives=surplus,
            false_negatives=missing,
            true_negatives=rest,
        )
        for label, threshold, precision, (right, surplus, missing, rest) in zip(
            label_names, known, precisions, cells, strict=True
        )
    ]


def together(sets: Sets) -> list[list[int]]:
    """Return the co-occurrence matrix of labels, shape (C, C)."""
    counts = sets.astype(np.int64)
    found: list[list[int]] = (counts.T @ counts).tolist()
    return found


def sweep_point(truth: Sets, decided: Sets, threshold: float) -> SetSweepPoint:
    right, said, there = int((truth & decided).sum()), int(decided.sum()), int(truth.sum())
    return SetSweepPoint(
        threshold=threshold,
        precision=right / said if said else None,
        recall=right / there if there else None,
        f1=f1(truth, decided),
    )


def f1(truth: Sets, decided: Sets) -> float | None:
    """Return micro-averaged F1; None if there are no labels, neither true nor predicted."""
    both = int(truth.sum()) + int(decided.sum())
    return 2 * int((truth & decided).sum()) / both if both else None


# --- thresholds ------------------------------------------------------------------------------------------------------


def fit_thresholds(truth: Sets, probabilities: Floats) -> list[float]:
    """Return a threshold for each label (C,) that about maximises its F1 on these images.

    The best threshold of few images is mostly chance. So each label's own is shrunk towards the one that is best for
    all labels together, in logits, as if `PRIOR_IMAGES` more images had voted for it; a label without images takes it
    unchanged.

    Args:
        truth: which labels each image has, shape (N, C).
        probabilities: calibrated, shape (N, C).
    """
    common = logit(best_threshold(truth.ravel(), probabilities.ravel()))
    found = []
    for is_there, scores in zip(truth.T, probabilities.T, strict=True):
        images = int(is_there.sum())
        own = logit(best_threshold(is_there, scores)) if images else common
        drawn = (images * own + PRIOR_IMAGES * common) / (images + PRIOR_IMAGES)
        found.append(round(float(np.clip(expit(drawn), *THRESHOLD_BOUNDS)), 4))
    return found


def best_threshold(is_there: NDArray[np.bool_], scores: Floats) -> float:
    """Return the threshold with the highest F1, midway between the scores it separates; 0.5 without positives.

    Args:
        is_there: shape (N,).
        scores: probabilities, shape (N,).
    """
    if not is_there.any():
        return HALF
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order].astype(np.float64), np.cumsum(is_there[order])
    values = 2 * right / (np.arange(1, len(scores) + 1) + is_there.sum())
    below = np.append(ranked[1:], 0.0)
    values[ranked == below] = -1  # equal scores cannot be separated
    best = int(values.argmax())
    return float((ranked[best] + below[best]) / 2)


def decide(probabilities: Floats, thresholds: Sequence[float]) -> Sets:
    """Return which labels reach their thresholds, (N, C)."""
    return probabilities.astype(np.float64) >= np.asarray(thresholds, np.float64)


def cross_decided(truth: Sets, probabilities: Floats) -> Sets:
    """Return predicted labels, (N, C), each image's by thresholds fitted on the other folds."""
    fold_of = folds(kinds_of(truth))
    decided = np.zeros_like(truth)
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        rest = ~held_out if not held_out.all() else held_out
        decided[held_out] = decide(probabilities[held_out], fit_thresholds(truth[rest], probabilities[rest]))
    return decided


def kinds_of(truth: Sets) -> NDArray[np.int64]:
    """Return a number for each image, (N,), equal for equal sets."""
    return np.unique(truth, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def logit(probability: float) -> float:
    low, high = THRESHOLD_BOUNDS
    bounded = min(high, max(low, probability))
    return math.log(bounded / (1 - bounded))


# --- calibration -----------------------------------------------------------------------------------------------------


def fit_set_temperature(logits: Floats, truth: Sets) -> float:
    """Return the one temperature T, 0.1 to 10, for which sigmoid(logits / T) has the lowest mean binary cross-entropy.

    As `training.metrics.fit_temperature` (Guo et al. 2017), with every label of every image as an observation. It
    changes no ranking.

    Args:
        logits: shape (N, C).
        truth: which labels each image has, shape (N, C).
    """
    signed = np.where(truth, -1.0, 1.0) * logits.astype(np.float64)

    def cost(log_temperature: float) -> float:
        return float(np.logaddexp(0, signed / math.exp(log_temperature)).mean())

    low, high = (math.log(bound) for bound in TEMPERATURES)
    found = minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-4})
    return math.exp(float(found.x))


def calibration(truth: Sets, probabilities: Floats, logits: Floats | None) -> CalibrationMetrics:
    """Return the expected calibration error of single labels."""
    if logits is None:
        error, bins = reliability(truth.ravel(), probabilities.ravel())
        return CalibrationMetrics(temperature=1.0, ece_before=error, ece_after=error, bins=bins)
    before, _ = reliability(truth.ravel(), expit(logits.astype(np.float64)).ravel())
    after, bins = reliability(truth.ravel(), cross_calibrated(logits, truth).ravel())
    temperature = fit_set_temperature(logits, truth)
    return CalibrationMetrics(temperature=temperature, ece_before=before, ece_after=after, bins=bins)


def cross_calibrated(logits: Floats, truth: Sets) -> Floats:
    """Return probabilities (N, C), each image's by a temperature fitted on the other folds."""
    fold_of, scores = folds(kinds_of(truth)), logits.astype(np.float64)
    probabilities = np.empty_like(scores)
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        temperature = fit_set_temperature(scores[~held_out], truth[~held_out]) if not held_out.all() else 1.0
        probabilities[held_out] = expit(scores[held_out] / temperature)
    return probabilities
