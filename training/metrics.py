"""Metrics of single-label classification, from arrays of true classes and probabilities."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import (
    auc,
    average_precision_score,
    confusion_matrix,
    precision_recall_curve,
    roc_curve,
)

from training.intervals import wilson
from tsukiji.types import ClassMetrics, Metrics
from tsukiji.types.evaluations import CalibrationMetrics, ClassCurves, ConfusedPair, ReliabilityBin, SweepPoint

LEAST: Final = float(np.finfo(np.float32).tiny)
"""A probability of 0 counts as this one, so that no loss is infinite."""
MOST_BINS: Final = 15
FOLDS: Final = 5
SEED: Final = 42
TEMPERATURES: Final = (0.1, 10.0)
"""If every image is right, the loss falls with the temperature forever; these bounds end that."""
CURVE_POINTS: Final = 50
CURVED_CLASSES: Final = 100
CONFUSED_PAIRS: Final = 10
THRESHOLDS: Final = (*(round(step / 20, 2) for step in range(20)), 0.99)

Ints = NDArray[np.int64]
Floats = NDArray[np.floating]


def measure(truth: Ints, probabilities: Floats, label_names: Sequence[str], logits: Floats | None = None) -> Metrics:
    """Return all metrics of N images (at least one) and C classes.

    A ratio without a denominator is None: the precision of a class that is never predicted, all of one without images.

    Args:
        truth: class numbers, shape (N,).
        probabilities: as served, shape (N, C), rows sum to 1.
        label_names: of the C classes.
        logits: before any temperature, shape (N, C), if the temperature is fitted on these images. Calibration is then
            measured before and after, the latter cross-fitted; without logits it is that of the probabilities.
    """
    taken_for = probabilities.argmax(axis=1)
    classes = range(len(label_names))
    confusion = confusion_matrix(truth, taken_for, labels=classes)
    of_classes = (counts.tolist() for counts in (confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)))
    right = int((truth == taken_for).sum())
    return Metrics(
        accuracy=right / len(truth),
        accuracy_interval=wilson(right, len(truth)),
        loss=float(losses(truth, probabilities).mean()),
        images=len(truth),
        label_names=list(label_names),
        per_class=[class_metrics(*row) for row in zip(label_names, *of_classes, strict=True)],
        confusion=confusion.tolist(),
        most_confused=most_confused(confusion, label_names),
        curves=curves(np.eye(len(label_names), dtype=bool)[truth], probabilities, label_names),
        calibration=calibration(truth, probabilities, logits),
        sweep=sweep(truth, probabilities),
    )


def class_metrics(label: str, right: int, said: int, there: int) -> ClassMetrics:
    """Return the metrics of a label; all None for one without images.

    Args:
        label: its name.
        right: true positives.
        said: predicted positives.
        there: actual positives.
    """
    return ClassMetrics(
        label=label,
        precision=right / said if said and there else None,
        recall=right / there if there else None,
        f1=2 * right / (said + there) if there else None,
        support=there,
    )


def losses(truth: Ints, probabilities: Floats) -> Floats:
    """Return each image's cross-entropy in nats, shape (N,)."""
    return -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], LEAST))


def most_confused(confusion: Ints, label_names: Sequence[str]) -> list[ConfusedPair]:
    """Return the largest off-diagonal cells, largest first."""
    errors = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-errors, axis=None, kind="stable")[:CONFUSED_PAIRS]
    return [
        ConfusedPair(true_label=label_names[row], predicted_label=label_names[column], images=int(errors[row, column]))
        for row, column in zip(*np.unravel_index(order, errors.shape), strict=True)
        if errors[row, column]
    ]


# --- curves ----------------------------------------------------------------------------------------------------------


def curves(truth: NDArray[np.bool_], probabilities: Floats, label_names: Sequence[str]) -> list[ClassCurves]:
    """Return ROC and precision-recall of each class against the rest; with many classes only the worst keep points.

    Args:
        truth: the classes of each image, (N, C).
        probabilities: (N, C).
        label_names: of the C classes.
    """
    columns = zip(label_names, truth.T, probabilities.T, strict=True)
    found = [class_curves(label, is_it, scores) for label, is_it, scores in columns]
    worst_first = sorted(found, key=lambda row: 2 if row.average_precision is None else row.average_precision)
    for row in worst_first[CURVED_CLASSES:]:
        row.roc, row.precision_recall = [], []
    return found


def class_curves(label: str, is_it: NDArray[np.bool_], scores: Floats) -> ClassCurves:
    if is_it.all() or not is_it.any():
        return ClassCurves(label=label, roc_auc=None, average_precision=None)
    false_positives, true_positives, _ = roc_curve(is_it, scores)
    precision, recall, _ = precision_recall_curve(is_it, scores)
    return ClassCurves(
        label=label,
        roc_auc=float(auc(false_positives, true_positives)),
        average_precision=float(average_precision_score(is_it, scores)),
        roc=thin(false_positives, true_positives),
        precision_recall=thin(recall[::-1], precision[::-1]),
    )


def thin(xs: Floats, ys: Floats) -> list[tuple[float, float]]:
    """Return at most `CURVE_POINTS` of the points, including both ends, about evenly spaced."""
    way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(xs)) + np.abs(np.diff(ys)))])
    stops = np.searchsorted(way, np.linspace(0, way[-1], CURVE_POINTS))
    chosen = np.unique(np.concatenate([[0], stops[1:-1], [len(way) - 1]])) if len(xs) > CURVE_POINTS else range(len(xs))
    return [(round(float(xs[i]), 5), round(float(ys[i]), 5)) for i in chosen]


# --- calibration -----------------------------------------------------------------------------------------------------


def fit_temperature(logits: Floats, truth: Ints) -> float:
    """Return the temperature T, 0.1 to 10, for which softmax(logits / T) has the lowest mean cross-entropy.

    Temperature scaling of Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017. It
    changes no prediction, only its confidence.

    Args:
        logits: shape (N, C).
        truth: class numbers, shape (N,).
    """
    scores, rows = logits.astype(np.float64), np.arange(len(truth))

    def cost(log_temperature: float) -> float:
        return -float(log_softmax(scores / math.exp(log_temperature), axis=1)[rows, truth].mean())

    low, high = (math.log(bound) for bound in TEMPERATURES)
    found = minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-4})
    return math.exp(float(found.x))


def calibration(truth: Ints, probabilities: Floats, logits: Floats | None) -> CalibrationMetrics:
    if logits is None:
        error, bins = reliability(*tops(truth, probabilities))
        return CalibrationMetrics(temperature=1.0, ece_before=error, ece_after=error, bins=bins)
    before, _ = reliability(*tops(truth, softmax(logits.astype(np.float64), axis=1)))
    after, bins = reliability(*tops(truth, cross_fitted(logits, truth)))
    return CalibrationMetrics(temperature=fit_temperature(logits, truth), ece_before=before, ece_after=after, bins=bins)


def cross_fitted(logits: Floats, truth: Ints) -> Floats:
    """Return probabilities, each image's by a temperature fitted on the other folds. Shape (N, C)."""
    fold_of, scores = folds(truth), logits.astype(np.float64)
    probabilities = np.empty_like(scores)
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        temperature = fit_temperature(scores[~held_out], truth[~held_out]) if not held_out.all() else 1.0
        probabilities[held_out] = softmax(scores[held_out] / temperature, axis=1)
    return probabilities


def folds(truth: Ints, count: int = FOLDS) -> Ints:
    """Return each image's fold, below `count`: drawn with a fixed seed, stratified by class."""
    drawn = np.random.default_rng(SEED).permutation(len(truth))
    by_class = drawn[np.argsort(truth[drawn], kind="stable")]
    fold_of = np.empty(len(truth), np.int64)
    fold_of[by_class] = np.arange(len(truth)) % count
    return fold_of


def tops(truth: Ints, probabilities: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Return whether each image's top prediction is right, and its probability, both (N,)."""
    return probabilities.argmax(axis=1) == truth, probabilities.max(axis=1)


def reliability(right: NDArray[np.bool_], sureness: Floats) -> tuple[float, list[ReliabilityBin]]:
    """Return the expected calibration error, and the reliability bins, least confident first.

    Equal-mass bins, as many, up to 15, as keep accuracies monotonic: ECE_sweep of Roelofs, Cain, Shlens and Mozer,
    "Mitigating bias in calibration error estimation", AISTATS 2022. With about a hundred held-out images, as is common
    here, the usual 15 bins of equal width find an error where there is none.

    Args:
        right: whether each prediction is right, shape (N,).
        sureness: its probability, shape (N,).
    """
    order = np.argsort(sureness, kind="stable")
    bins = [in_bins(right[order], sureness[order], 1)]
    while len(bins) < min(MOST_BINS, len(right)):
        finer = in_bins(right[order], sureness[order], len(bins) + 1)
        if any(one.accuracy > another.accuracy for one, another in pairwise(finer)):
            break
        bins.append(finer)
    error = sum(one.images * abs(one.accuracy - one.confidence) for one in bins[-1]) / len(right)
    return error, bins[-1]


def in_bins(right: NDArray[np.bool_], sureness: Floats, count: int) -> list[ReliabilityBin]:
    """Return `count` equal-mass bins of predictions sorted by probability."""
    return [
        ReliabilityBin(
            low=float(sure[0]),
            high=float(sure[-1]),
            images=len(sure),
            confidence=float(sure.mean()),
            accuracy=float(hits.mean()),
        )
        for hits, sure in zip(np.array_split(right, count), np.array_split(sureness, count), strict=True)
    ]


def sweep(truth: Ints, probabilities: Floats) -> list[SweepPoint]:
    """Return for each threshold the fraction of images that reach it, and the accuracy among them."""
    right, sureness = tops(truth, probabilities)
    points = []
    for threshold in THRESHOLDS:
        decided = sureness >= threshold
        accuracy = float(right[decided].mean()) if decided.any() else None
        points.append(SweepPoint(threshold=threshold, coverage=float(decided.mean()), accuracy=accuracy))
    return points
