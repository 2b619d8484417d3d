"""How good a finished package is on held-out images, measured through the very path that serves. Knows no fastai."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from training.control import Control
from training.events import Events
from training.run import ItemResult, Run
from tsukiji.types import ClassMetrics, Metrics
from tsukiji.vision.decode import DecodeLimits
from tsukiji.vision.predictor import Predictor

LEAST: Final = float(np.finfo(np.float32).tiny)
"""A probability of 0 costs as much as this one, so that no loss is infinite."""


def evaluate(predictor: Predictor, run: Run, control: Control, events: Events) -> tuple[Metrics, list[ItemResult]]:
    """Measure on the images of the split `valid`.

    Raises:
        Cancelled: that was ordered.
        DatasetTooSmall: there are none.
    """
    indices = run.of_split("valid")
    probabilities = np.concatenate(list(_predicted(predictor, run, indices, control, events)))
    truth = np.array([predictor.label_names.index(run.images[index].label) for index in indices])
    losses = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], LEAST))
    metrics = measure(truth, probabilities.argmax(axis=1), losses, predictor.label_names)
    items = [
        _item(index, row, float(loss), predictor.label_names)
        for index, row, loss in zip(indices, probabilities, losses, strict=True)
    ]
    return metrics, items


def measure(
    truth: NDArray[np.int64], taken_for: NDArray[np.int64], losses: NDArray[np.float32], label_names: Sequence[str]
) -> Metrics:
    """Return the metrics of N images: true and predicted class numbers and cross-entropies, each of shape (N,).

    A ratio without a denominator (a class that is never predicted, or has no images) counts as 0, as in scikit-learn.
    """
    classes = range(len(label_names))
    columns = precision_recall_fscore_support(truth, taken_for, labels=classes, zero_division=0)
    per_class = [
        ClassMetrics(label=label, precision=float(p), recall=float(r), f1=float(f), support=int(n))
        for label, p, r, f, n in zip(label_names, *columns, strict=True)
    ]
    return Metrics(
        accuracy=float((truth == taken_for).mean()),
        loss=float(losses.mean()),
        images=len(truth),
        label_names=list(label_names),
        per_class=per_class,
        confusion=confusion_matrix(truth, taken_for, labels=classes).tolist(),
    )


def _predicted(
    predictor: Predictor, run: Run, indices: Sequence[int], control: Control, events: Events
) -> Iterator[NDArray[np.float32]]:
    limits, side = DecodeLimits(**run.limits), predictor.preprocess.size
    remaining = iter(indices)
    while batch := list(islice(remaining, predictor.batch_size)):
        control.check()
        events.alive()
        yield predictor.predict([run.images[i].open(limits, side) for i in batch])


def _item(index: int, row: NDArray[np.float32], loss: float, label_names: Sequence[str]) -> ItemResult:
    best = int(row.argmax())
    return ItemResult(
        index=index,
        predicted=label_names[best],
        score=float(row[best]),
        loss=loss,
        probabilities=[float(value) for value in row],
    )
