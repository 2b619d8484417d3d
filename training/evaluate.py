"""How good a finished network is: on held-out images and unknown things, and what it says of labels. No fastai here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training import novelty, suspects
from training.measure import fit_temperature, losses, measure
from training.run import ItemResult, Picture, Run, Suspect
from tsukiji.types import Metrics
from tsukiji.vision.known import Known
from tsukiji.vision.predictor import Predictor, softmax

Floats = NDArray[np.float32]
Embed = Callable[[Sequence[Picture]], Floats]
"""Embeddings (N, E) of pictures."""


@dataclass(frozen=True)
class Findings:
    """What an evaluation found, and what the package needs of it."""

    metrics: Metrics
    items: list[ItemResult]
    temperature: float
    known: Known


def evaluate(predictor: Predictor, run: Run, embed: Embed) -> Findings:
    """Measure on the images of the split `valid`.

    Args:
        predictor: of the finished network, without temperature and statistics.
        run: the images.
        embed: makes embeddings by this very network, through the pixel path that serves.

    Raises:
        Cancelled: that was ordered.
        DatasetTooSmall: there are no such images.
    """
    train, valid = run.of_split("train"), run.of_split("valid")
    held_out, learnt = (embed([run.images[index] for index in part]) for part in (valid, train))
    unknown = predictor.looks(embed(run.unknown)) if run.unknown else None
    truth, logits = classes_of(run, valid), predictor.decide(held_out)
    temperature = fit_temperature(logits, truth)
    probabilities = softmax(logits / np.float32(temperature))
    looks = predictor.looks(held_out)
    known, rates = novelty.measure(
        predictor.looks(learnt), classes_of(run, train), looks, truth, predictor.label_names, unknown
    )
    metrics = measure(truth, probabilities, predictor.label_names, logits)
    metrics.unknown = rates
    found = zip(valid, probabilities, losses(truth, probabilities), known.scores(looks), strict=True)
    items = [_item(index, row, float(loss), float(score), predictor.label_names) for index, row, loss, score in found]
    return Findings(metrics, items, temperature, known)


def suspect(run: Run, embed: Embed) -> list[Suspect]:
    """Return the train and valid images whose labels may be wrong, most suspicious first."""
    indices = [index for index, picture in enumerate(run.images) if picture.split != "test"]
    names, classes = run.label_names, classes_of(run, indices)
    scores = suspects.leave_one_out(embed([run.images[index] for index in indices]), classes, len(names))
    return [
        Suspect(index=indices[image], suggested_label=names[other], score=score)
        for image, other, score in suspects.rank(scores, classes)
    ]


def classes_of(run: Run, indices: Sequence[int]) -> NDArray[np.int64]:
    """Return the class numbers of images."""
    numbers = {label: number for number, label in enumerate(run.label_names)}
    return np.array([numbers[run.images[index].label] for index in indices], np.int64)


def _item(index: int, row: Floats, loss: float, known_score: float, label_names: Sequence[str]) -> ItemResult:
    best = int(row.argmax())
    return ItemResult(
        index=index,
        predicted=label_names[best],
        score=float(row[best]),
        loss=loss,
        known_score=known_score,
        probabilities=[float(value) for value in row],
    )
