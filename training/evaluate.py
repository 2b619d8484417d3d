"""Evaluation of a finished network: on held-out images, "none of these", and suspected labels. No fastai."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from training import guarantees, label_issues, out_of_distribution
from training.cross_fitting import Judged, Labelled, Probe, cross_fit
from training.metrics import cross_fitted, fit_temperature, losses, measure
from training.multilabel_metrics import (
    cross_decided,
    fit_set_temperature,
    fit_thresholds,
    kinds_of,
    measure_sets,
    set_losses,
)
from training.run import ItemResult, Picture, Run, Suspect
from training.targets import classes_of, sets_of
from tsukiji.labels import join_fitting
from tsukiji.types import Metrics, Split
from tsukiji.types.batches import MIN_KNOWN
from tsukiji.vision.drift import HeldOut, fourier_features
from tsukiji.vision.out_of_distribution import Means
from tsukiji.vision.predictor import Predictor, sigmoid, softmax

Floats = NDArray[np.float32]
Embed = Callable[[Sequence[Picture]], Floats]
"""Embeddings (N, E) of pictures."""


@dataclass(frozen=True)
class Findings:
    """Results of an evaluation, with what the package needs of them."""

    metrics: Metrics
    items: list[ItemResult]
    temperature: float
    known: Means
    held_out: HeldOut
    thresholds: list[float] | None = None
    """Of each label, where images have several."""


def evaluate(predictor: Predictor, run: Run, embed: Embed, candidates: int = 1, probe: Probe | None = None) -> Findings:
    """Evaluate on the images of the split `valid`.

    Args:
        predictor: of the finished network, without temperature and statistics.
        run: the images.
        embed: computes embeddings with this network, through the inference path.
        candidates: among how many networks those images chose.
        probe: the network's head, if it is one on a frozen body.

    Raises:
        Cancelled
        DatasetTooSmall: there are no such images.
    """
    train, valid = run.of_split("train"), run.of_split("valid")
    held_out, learnt = (embed([run.images[index] for index in part]) for part in (valid, train))
    unknown = predictor.known_features(embed(run.unknown)) if run.unknown else None
    logits, vectors = predictor.decide(held_out), predictor.known_features(held_out)
    judge = judge_sets if run.kind == "multi_label" else judge_classes
    seen = Vectors(predictor.known_features(learnt), vectors, unknown, predictor.model.num_middle)
    verdict = judge(run, logits, seen)
    scores = verdict.known.scores(vectors)
    if run.kind == "single_label":
        others = None if probe is None else judge_learnt(run, seen, probe, verdict.temperature)
        promise(run, verdict, logits, scores >= MIN_KNOWN, candidates, others)
    rows = zip(valid, verdict.predicted, verdict.probabilities, verdict.losses, scores, strict=True)
    items = [
        ItemResult(
            index=index,
            predicted=predicted,
            score=float(row.max()),
            loss=float(loss),
            known_score=float(score),
            probabilities=[float(value) for value in row],
        )
        for index, predicted, row, loss, score in rows
    ]
    kept = HeldOut.of(
        verdict.probabilities.argmax(axis=1),
        verdict.probabilities.max(axis=1),
        scores,
        fourier_features(held_out, predictor.model.num_middle),
        len(run.label_names),
    )
    return Findings(verdict.metrics, items, verdict.temperature, verdict.known, kept, verdict.thresholds)


@dataclass(frozen=True)
class Verdict:
    """Results on the N held-out images; `predicted` and `losses` as in `ItemResult`."""

    metrics: Metrics
    predicted: list[str]
    probabilities: Floats
    losses: NDArray[np.floating]
    temperature: float
    known: Means
    thresholds: list[float] | None = None


@dataclass(frozen=True)
class Vectors:
    """Features of images, see `Predictor.known_features`.

    Attributes:
        learnt: of the split `train`, (M, D).
        held_out: of the split `valid`, (N, D).
        unknown: of other things, (U, D), if there are any.
        middle: how many of the D features are means of earlier maps.
    """

    learnt: Floats
    held_out: Floats
    unknown: Floats | None
    middle: int


def judge_classes(run: Run, logits: Floats, vectors: Vectors) -> Verdict:
    """Evaluate single-label images by the logits of the held-out ones, (N, C)."""
    names, truth = run.label_names, classes_of(run, run.of_split("valid"))
    temperature = fit_temperature(logits, truth)
    probabilities = softmax(logits / np.float32(temperature))
    learnt_classes = classes_of(run, run.of_split("train"))
    known, rates = out_of_distribution.measure(
        vectors.learnt, learnt_classes, vectors.held_out, truth, names, vectors.middle, vectors.unknown
    )
    metrics = measure(truth, probabilities, names, logits)
    metrics.unknown = rates
    predicted = [names[best] for best in probabilities.argmax(axis=1)]
    return Verdict(metrics, predicted, probabilities, losses(truth, probabilities), temperature, known)


def promise(
    run: Run, verdict: Verdict, logits: Floats, known: NDArray[np.bool_], candidates: int, others: Judged | None
) -> None:
    """Add guarantees to the metrics. The held-out images chose the temperature, so each is judged by one of others."""
    truth = classes_of(run, run.of_split("valid"))
    held_out = Judged(truth, logits.argmax(axis=1), guarantees.decision_scores(logits, truth), known)
    guarantees.add(verdict.metrics, held_out, cross_fitted(logits, truth), candidates, others)


def judge_learnt(run: Run, vectors: Vectors, probe: Probe, temperature: float) -> Judged | None:
    """Return what heads like this one, that have not seen them, say of the train images."""

    def labelled(split: Split, features: Floats) -> Labelled:
        indices = run.of_split(split)
        units = [run.images[index].unit for index in indices]
        alone = [-1 - index if unit is None else unit for index, unit in zip(indices, units, strict=True)]
        return Labelled(features, classes_of(run, indices), np.array(alone))

    return cross_fit(labelled("train", vectors.learnt), labelled("valid", vectors.held_out), probe, temperature)


def judge_sets(run: Run, logits: Floats, vectors: Vectors) -> Verdict:
    """Evaluate multi-label images, as `judge_classes` does single-label ones.

    Images with none of the labels count as unknown things.
    """
    names, truth = run.label_names, sets_of(run, run.of_split("valid"))
    temperature = fit_set_temperature(logits, truth)
    probabilities = sigmoid(logits / np.float32(temperature))
    thresholds = fit_thresholds(truth, probabilities)
    decided = cross_decided(truth, probabilities)
    some, learnt_some = truth.any(axis=1), sets_of(run, run.of_split("train")).any(axis=1)
    others = [vectors.held_out[~some], *([] if vectors.unknown is None else [vectors.unknown])]
    known, rates = out_of_distribution.measure(
        vectors.learnt[learnt_some],
        None,
        vectors.held_out[some],
        kinds_of(truth[some]),
        names,
        vectors.middle,
        np.concatenate(others),
    )
    metrics = measure_sets(truth, probabilities, decided, names, thresholds, logits)
    metrics.unknown = rates
    predicted = [likeliest_first(names, sure, row) for sure, row in zip(probabilities, decided, strict=True)]
    costs = set_losses(truth, probabilities)
    return Verdict(metrics, predicted, probabilities, costs, temperature, known, thresholds)


def likeliest_first(names: Sequence[str], probabilities: Floats, decided: NDArray[np.bool_]) -> str:
    """Return a set of labels as one text; if too long, only the likeliest ones."""
    return join_fitting([names[number] for number in np.argsort(-probabilities) if decided[number]])


def suspect(run: Run, embed: Embed) -> list[Suspect]:
    """Return the train and valid images whose labels may be wrong, most suspicious first."""
    indices = [index for index, picture in enumerate(run.images) if picture.split != "test"]
    names, features = run.label_names, embed([run.images[index] for index in indices])
    if run.kind == "multi_label":
        sets = sets_of(run, indices)
        return [
            Suspect(index=indices[image], suggested_label=join_fitting(list(compress(names, others))), score=score)
            for image, others, score in label_issues.rank_sets(label_issues.leave_one_out_sets(features, sets), sets)
        ]
    classes = classes_of(run, indices)
    scores = label_issues.leave_one_out(features, classes, len(names))
    return [
        Suspect(index=indices[image], suggested_label=names[other], score=score)
        for image, other, score in label_issues.rank(scores, classes)
    ]
