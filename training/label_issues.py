"""Label issues: images for which a classifier that never saw them predicts another label. Arrays only.

A ridge classifier on frozen embeddings, whose leave-one-out predictions have a closed form (`training.ridge`),
judges every image by all others. The regularisation is chosen by the same leave-one-out predictions. Images are ranked
by the margin between the given label and the best other one (Northcutt, Jiang and Chuang, "Confident learning", JAIR
2021). How many are worth a look follows from an estimate of the number of wrong labels, because a weak classifier
disagrees with many correct ones. In multi-label data each label is judged against its absence, and an image by its
worst: Thyagarajan, Snorrason, Northcutt and Mueller, "Identifying incorrect annotations in multi-label classification
data", 2022.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training import ridge

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]
Sets = NDArray[np.bool_]

STRENGTHS: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Regularisation, for features of variance 1, relative to the number of images."""
LISTED: Final = 2000
DOUBTED: Final = 4
ROUNDS: Final = 6
FEWEST_WRONG: Final = 0.05
"""Lower bound of the estimated fraction of wrong labels; published data sets have some percent."""
MOST_WRONG: Final = 0.3
FAR: Final = 50.0
"""Log odds are clipped here; beyond, nothing changes."""
WRONG_LOG_ODDS: Final = math.log((1 - FEWEST_WRONG) / FEWEST_WRONG)


def leave_one_out(features: Floats, classes: Ints, count: int) -> Floats:
    """Return class scores (N, count) by classifiers trained on all other images; near 0..1, not probabilities.

    Args:
        features: (N, D).
        classes: class numbers, (N,).
        count: of the classes.
    """
    return leave_one_out_sets(features, np.eye(count, dtype=bool)[classes])


def leave_one_out_sets(features: Floats, sets: Sets) -> Floats:
    """Return the same for multi-label images: features (N, D), sets and scores (N, C)."""
    rows = features.astype(np.float64)  # a leave-one-out residual may be a ten-thousandth of its terms
    rows = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-6)
    _, scores = ridge.fit(rows, sets.astype(np.float64), [strength * len(rows) for strength in STRENGTHS])
    return scores


def rank(scores: Floats, classes: Ints) -> list[tuple[int, int, float]]:
    """Return (image, suggested class, probability that the given class is right), most suspicious first.

    Lists at most `LISTED` images for which another class scores better. A weak classifier finds many: `is_doubted` says
    which are worth a look.
    """
    suggested, right = doubts(scores, classes)
    images = np.arange(len(classes))
    others = scores[images, suggested] > scores[images, classes]
    order = [int(image) for image in np.argsort(right, kind="stable") if others[image]][:LISTED]
    return [(image, int(suggested[image]), float(right[image])) for image in order]


def is_doubted(right: float) -> bool:
    """Return whether at least one label in `DOUBTED` is wrong among images with such a probability."""
    return 1 - right > 1 / DOUBTED


def doubts(scores: Floats, classes: Ints) -> tuple[Ints, Floats]:
    """Return each image's best other class, and the probability that the given one is right, both (N,).

    The margin between two classes is modelled as normal, with one mean if the first is right, another if the second is,
    and one variance. These and the fraction of wrong labels, at least `FEWEST_WRONG`, are estimated by expectation
    maximisation.

    Args:
        scores: by a classifier that never saw the image, (N, C).
        classes: class numbers, (N,).
    """
    (count, kinds), images = scores.shape, np.arange(len(classes))
    others = scores.astype(np.float64)
    others[images, classes] = -np.inf
    suggested = others.argmax(axis=1)
    margins = scores[images, classes] - scores[images, suggested]
    right, wrong = np.ones(count), FEWEST_WRONG
    if count <= kinds:
        return suggested, right
    for _ in range(ROUNDS):
        weights = np.bincount(classes, right, kinds)
        sums = np.stack([np.bincount(classes, right * column, kinds) for column in scores.T], axis=1)
        means = sums / np.maximum(weights, 1e-9)[:, None]
        rest = scores - means[classes]
        spread = (rest * right[:, None]).T @ rest / max(right.sum() - kinds, 1)
        own = np.diag(means)
        here = own[classes] - means[classes, suggested]
        there = means[suggested, classes] - own[suggested]
        variance = spread[classes, classes] + spread[suggested, suggested] - 2 * spread[classes, suggested]
        evidence = (here - there) * ((here + there) / 2 - margins) / np.maximum(variance, 1e-9)
        evidence[here <= there] = -np.inf  # indistinguishable classes give no evidence
        evidence[weights[suggested] <= 0] = -np.inf
        odds = evidence + math.log(wrong / (1 - wrong) / max(kinds - 1, 1))
        right = 1 / (1 + np.exp(odds.clip(-FAR, FAR)))
        wrong = float((1 - right).mean().clip(FEWEST_WRONG, MOST_WRONG))
    return suggested, right


def rank_sets(scores: Floats, sets: Sets) -> list[tuple[int, Sets, float]]:
    """Return (image, suggested set (C,), score of the worst label in 0..1), most suspicious first, at most `LISTED`.

    A label's scores are modelled as two normal distributions of one width, of images with it and without. An entry is
    suspected if it is more likely wrong than right, given a prior of one in twenty. So a label that is hard to
    recognise gives few suspects.
    """
    having, lacking = (_means(scores, part) for part in (sets, ~sets))
    apart = having - lacking
    variance = np.square(scores - np.where(sets, having, lacking)).mean(axis=0)
    beyond = scores - (having + lacking) / 2
    evidence = np.where(sets, -1, 1) * beyond * apart / np.maximum(variance, 1e-9)  # of the log likelihoods, nats
    evidence[:, ~(apart > 0)] = -np.inf  # indistinguishable labels give no evidence
    wrong, worst = evidence > WRONG_LOG_ODDS, evidence.argmax(axis=1)
    own = np.clip(np.where(sets, scores, 1 - scores), 0, 1)
    order = [int(image) for image in np.argsort(-evidence.max(axis=1), kind="stable") if wrong[image].any()][:LISTED]
    return [(image, sets[image] ^ wrong[image], float(own[image, worst[image]])) for image in order]


def _means(scores: Floats, of: Sets) -> Floats:
    """Return each column's mean over the rows selected by `of`, (C,); NaN if there are none."""
    counts = of.sum(axis=0)
    means: Floats = np.where(of, scores, 0).sum(axis=0) / np.where(counts, counts, np.nan)
    return means
