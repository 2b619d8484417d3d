"""Fits and evaluates "none of these": false rejections and false acceptances. Arrays only."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from training.mahalanobis import fit
from training.metrics import folds
from tsukiji.types.batches import MIN_KNOWN
from tsukiji.types.evaluations import GivenUnknown, LeftOut, UnknownMetrics
from tsukiji.vision.out_of_distribution import Known, Means

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

LEFT_OUT_IMAGES: Final = 2000
"""Most held-out images for the leave-one-class-out test, and of each class the same number."""
LEFT_OUT_LEARNT: Final = 2000
LEFT_OUT_AXES: Final = 256
"""Images for the covariance in that test: few, because it is fitted again for each class."""
METHOD: Final = "mahalanobis"


def measure(
    learnt: Floats,
    learnt_classes: Ints | None,
    held_out: Floats,
    held_out_classes: Ints,
    label_names: Sequence[str],
    middle: int,
    unknown: Floats | None = None,
) -> tuple[Means, UnknownMetrics]:
    """Return the statistics of a model, and how well they detect "none of these" at the default threshold.

    Args:
        learnt: features of the train images, (M, D).
        learnt_classes: their class numbers, (M,). None for multi-label: then no class is left out in turn, because the
            others in its pictures would still be known.
        held_out: features of the valid images, (N, D).
        held_out_classes: their class numbers, (N,); or of their sets.
        label_names: of the classes.
        middle: how many of the features are means of earlier maps, see `Means`.
        unknown: images of other things, (U, D), if the user provided some.
    """
    one = np.zeros(len(learnt), np.int64)
    known = fit(learnt, one if learnt_classes is None else learnt_classes, held_out, middle)
    similar = known.similarities(held_out)
    left_out = (
        []
        if learnt_classes is None
        else leave_out(learnt, learnt_classes, held_out, held_out_classes, label_names, middle)
    )
    rates = [row.false_acceptances for row in left_out]
    return known, UnknownMetrics(
        method=METHOD,
        min_known=MIN_KNOWN,
        false_rejections=false_rejections(similar, held_out_classes),
        false_acceptances=float(np.mean(rates)) if rates else None,
        left_out=left_out,
        given=None if unknown is None or not len(unknown) else given(known, similar, unknown),
    )


def false_rejections(similar: Floats, classes: Ints) -> float:
    """Return the fraction of held-out images rejected by a threshold fitted on the other folds."""
    fold_of = folds(classes)
    turned_away = 0
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        others = similar[~inside] if not inside.all() else similar
        turned_away += int((similar[inside] < np.quantile(others, MIN_KNOWN)).sum())
    return turned_away / len(similar)


def given(known: Known, similar: Floats, unknown: Floats) -> GivenUnknown:
    scores = known.scores(unknown)
    return GivenUnknown(
        images=len(unknown),
        false_acceptances=float((scores >= MIN_KNOWN).mean()),
        auroc=auroc(similar, known.similarities(unknown)),
    )


def leave_out(
    learnt: Floats,
    learnt_classes: Ints,
    held_out: Floats,
    held_out_classes: Ints,
    label_names: Sequence[str],
    middle: int,
) -> list[LeftOut]:
    """Return for each class how often its held-out images pass for known when it was not learnt.

    Only the statistics leave the class out, not the network: if all layers were trained, the rates are too optimistic.
    """
    learnt_part, held_part = thinned(len(learnt), LEFT_OUT_LEARNT), thinned(len(held_out), LEFT_OUT_IMAGES)
    learnt, learnt_classes = learnt[learnt_part], learnt_classes[learnt_part]
    held_out, classes = held_out[held_part], held_out_classes[held_part]
    found = []
    for number, label in enumerate(label_names):
        inside, others = classes == number, learnt_classes != number
        if not inside.any() or inside.all() or not others.any():
            continue
        known = fit(learnt[others], learnt_classes[others], held_out[~inside], middle, LEFT_OUT_AXES)
        similar = known.similarities(held_out)
        threshold = np.quantile(similar[~inside], MIN_KNOWN)
        found.append(
            LeftOut(
                label=label,
                images=int(inside.sum()),
                false_acceptances=float((similar[inside] >= threshold).mean()),
                auroc=auroc(similar[~inside], similar[inside]),
            )
        )
    return found


def thinned(count: int, most: int) -> slice:
    """Return an evenly spaced slice of at most `most` of `count`."""
    return slice(None, None, max(1, -(-count // most)))


def auroc(known: Floats, unknown: Floats) -> float:
    """Return how often a known image has a higher value than an unknown one."""
    truth = np.concatenate([np.ones(len(known)), np.zeros(len(unknown))])
    return float(roc_auc_score(truth, np.concatenate([known, unknown])))
