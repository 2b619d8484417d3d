"""How well "none of these" is told: false rejections and false acceptances, from arrays alone. Knows no network."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from training.measure import folds
from tsukiji.types.batches import MIN_KNOWN
from tsukiji.types.evaluations import GivenUnknown, LeftOut, UnknownMetrics
from tsukiji.vision.known import NEIGHBOURS, Known, fit, normalised
from tsukiji.vision.shapes import BANK_IMAGES

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

LEFT_OUT_IMAGES: Final = 2000
"""Held-out images that leaving classes out is measured on, at most, and as many of each class as of any."""
LEFT_OUT_BANK: Final = 10_000
METHOD: Final = "nearest_neighbours"


def measure(
    learnt: Floats,
    learnt_classes: Ints | None,
    held_out: Floats,
    held_out_classes: Ints,
    label_names: Sequence[str],
    unknown: Floats | None = None,
) -> tuple[Known, UnknownMetrics]:
    """Return the statistics of a model, and how well they tell "none of these" at the default threshold.

    Args:
        learnt: what the train images look like, (M, D).
        learnt_classes: their class numbers, (M,). None if pictures have several labels: then no class is left out in
            turn, as the others in its pictures would be known all the same.
        held_out: the same of the valid images, (N, D).
        held_out_classes: their class numbers, (N,); or of their sets.
        label_names: of the classes.
        unknown: images of other things, (U, D), if the user gave some.
    """
    known = fit(learnt, held_out)
    similar = known.similarities(held_out)
    left_out = (
        [] if learnt_classes is None else leave_out(learnt, learnt_classes, held_out, held_out_classes, label_names)
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
    """Return what part of the held-out images is turned away by a threshold that was fitted on the other folds."""
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
    learnt: Floats, learnt_classes: Ints, held_out: Floats, held_out_classes: Ints, label_names: Sequence[str]
) -> list[LeftOut]:
    """Return for each class how often its held-out images pass for known where nothing of it was learnt.

    Only the statistics forget the class, the network does not: on a network that learnt all layers the rates flatter.
    """
    bank_part = slice(None, None, max(1, -(-len(learnt) // min(BANK_IMAGES, LEFT_OUT_BANK))))
    bank, bank_classes = normalised(learnt)[bank_part], learnt_classes[bank_part]
    held_part = slice(None, None, max(1, -(-len(held_out) // LEFT_OUT_IMAGES)))
    rows, classes = normalised(held_out)[held_part], held_out_classes[held_part]
    by_class = np.full((len(label_names), len(rows), NEIGHBOURS), -np.inf, np.float32)
    for number in range(len(label_names)):
        products = rows @ bank[bank_classes == number].T
        count = min(NEIGHBOURS, products.shape[1])
        if count:
            by_class[number, :, :count] = np.partition(products, -count, axis=1)[:, -count:]
    found = []
    for number, label in enumerate(label_names):
        inside = classes == number
        if not inside.any() or inside.all():
            continue
        rest = np.delete(by_class, number, axis=0).transpose(1, 0, 2).reshape(len(rows), -1)
        similar = _mean_of_largest(rest)
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


def auroc(known: Floats, unknown: Floats) -> float:
    """Return how often a known image has the higher value than an unknown one."""
    truth = np.concatenate([np.ones(len(known)), np.zeros(len(unknown))])
    return float(roc_auc_score(truth, np.concatenate([known, unknown])))


def _mean_of_largest(values: Floats) -> Floats:
    count = min(NEIGHBOURS, int(np.isfinite(values).sum(axis=1).min()))
    largest: Floats = np.partition(values, -count, axis=1)[:, -count:].mean(axis=1)
    return largest
