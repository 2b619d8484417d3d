"""Which labels may be wrong: a classifier that never saw an image says another one. Knows no network and no pictures.

A ridge classifier on frozen embeddings, whose leave-one-out predictions have a closed form (the PRESS formula; Rifkin
and Lippert, "Notes on regularized least squares", 2007), so that every image is judged by all others. Its strength is
chosen by the same leave-one-out predictions. The margin between the given label and the best other one ranks images
(Northcutt, Jiang and Chuang, "Confident learning", JAIR 2021); how many are worth a look follows from how many labels
seem to be wrong, for a weak classifier says another label of many images that are right. Where images have several
labels, each is judged against its absence, and an image by its worst: Thyagarajan, Snorrason, Northcutt and Mueller,
"Identifying incorrect annotations in multi-label classification data", 2022.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]
Sets = NDArray[np.bool_]

STRENGTHS: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Of the regularisation, for features of variance 1, as parts of the number of images."""
LISTED: Final = 2000
DOUBTED: Final = 4
ROUNDS: Final = 6
FEWEST_WRONG: Final = 0.05
"""One label in twenty is wrong; data sets of the field have some percent of wrong labels."""
MOST_WRONG: Final = 0.3
FAR: Final = 50.0
"""Log odds beyond which nothing changes."""
WRONG_LOG_ODDS: Final = math.log((1 - FEWEST_WRONG) / FEWEST_WRONG)


def leave_one_out(features: Floats, classes: Ints, count: int) -> Floats:
    """Return each image's class scores (N, count) by a classifier of all others; they are near 0..1, not probabilities.

    Args:
        features: (N, D).
        classes: class numbers, (N,).
        count: of the classes.
    """
    return leave_one_out_sets(features, np.eye(count, dtype=bool)[classes])


def leave_one_out_sets(features: Floats, sets: Sets) -> Floats:
    """Return the same where an image is of any number of classes: features (N, D), sets and scores (N, C)."""
    rows = features.astype(np.float64)  # what is left of a picture without itself may be a ten-thousandth
    rows = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-6)
    wanted = sets.astype(np.float64)
    shares = wanted.mean(axis=0)
    basis, powers = _decompose(rows)
    targets = basis.T @ (wanted - shares)
    best: tuple[float, Floats] | None = None
    for strength in STRENGTHS:
        kept = powers / (powers + strength * len(rows))
        # The mean counts, too: without its part an image's own label comes back through the mean of the others.
        leverage = ((basis**2) @ kept)[:, None] + 1 / len(rows)
        fitted = shares + basis @ (kept[:, None] * targets)
        scores = (fitted - leverage * wanted) / np.maximum(1 - leverage, 1e-9)
        error = float(((scores - wanted) ** 2).mean())
        if best is None or error < best[0]:
            best = error, scores
    assert best is not None
    return best[1]


def rank(scores: Floats, classes: Ints) -> list[tuple[int, int, float]]:
    """Return (image, suggested class, probability that the given class is right), most suspicious first.

    Images are listed for which another class has the better score, at most `LISTED`. By a weak classifier those are
    many: `is_doubted` says which are worth a look.
    """
    suggested, right = doubts(scores, classes)
    images = np.arange(len(classes))
    others = scores[images, suggested] > scores[images, classes]
    order = [int(image) for image in np.argsort(right, kind="stable") if others[image]][:LISTED]
    return [(image, int(suggested[image]), float(right[image])) for image in order]


def is_doubted(right: float) -> bool:
    """Return whether of the images with such a probability one label in `DOUBTED` or more is wrong."""
    return 1 - right > 1 / DOUBTED


def doubts(scores: Floats, classes: Ints) -> tuple[Ints, Floats]:
    """Return of each image (N,) the best other class, and the probability that the given one is right.

    The margin between two classes is taken for normally distributed, with one mean where the first is right, another
    where the second is, and one variance. These and the part of wrong labels, at least `FEWEST_WRONG`, are estimated in
    turn (expectation and maximisation).

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
        evidence[here <= there] = -np.inf  # classes that cannot be told apart say nothing
        evidence[weights[suggested] <= 0] = -np.inf
        odds = evidence + math.log(wrong / (1 - wrong) / max(kinds - 1, 1))
        right = 1 / (1 + np.exp(odds.clip(-FAR, FAR)))
        wrong = float((1 - right).mean().clip(FEWEST_WRONG, MOST_WRONG))
    return suggested, right


def rank_sets(scores: Floats, sets: Sets) -> list[tuple[int, Sets, float]]:
    """Return (image, suggested set (C,), score of the worst label in 0..1), most suspicious first, at most `LISTED`.

    A label's scores are taken for two normal distributions of one width, of the images that have it and of the others;
    an entry is suspected if by its score it is rather wrong than right, where one in twenty is wrong to begin with. So
    of a label that can hardly be told, little is said.
    """
    having, lacking = (_means(scores, part) for part in (sets, ~sets))
    apart = having - lacking
    variance = np.square(scores - np.where(sets, having, lacking)).mean(axis=0)
    beyond = scores - (having + lacking) / 2
    evidence = np.where(sets, -1, 1) * beyond * apart / np.maximum(variance, 1e-9)  # of the log likelihoods, nats
    evidence[:, ~(apart > 0)] = -np.inf  # what cannot be told says nothing
    wrong, worst = evidence > WRONG_LOG_ODDS, evidence.argmax(axis=1)
    own = np.clip(np.where(sets, scores, 1 - scores), 0, 1)
    order = [int(image) for image in np.argsort(-evidence.max(axis=1), kind="stable") if wrong[image].any()][:LISTED]
    return [(image, sets[image] ^ wrong[image], float(own[image, worst[image]])) for image in order]


def _means(scores: Floats, of: Sets) -> Floats:
    """Return each column's mean over the rows that `of` names, (C,); NaN where it names none."""
    counts = of.sum(axis=0)
    means: Floats = np.where(of, scores, 0).sum(axis=0) / np.where(counts, counts, np.nan)
    return means


def _decompose(rows: Floats) -> tuple[Floats, Floats]:
    """Return the left singular vectors (N, K) and squared singular values (K,), by the smaller of the two products."""
    if len(rows) <= rows.shape[1]:
        powers, basis = np.linalg.eigh(rows @ rows.T)
        good = powers > powers[-1] * 1e-7
        return basis[:, good], powers[good]
    powers, directions = np.linalg.eigh(rows.T @ rows)
    good = powers > powers[-1] * 1e-7
    return (rows @ directions[:, good]) / np.sqrt(powers[good]), powers[good]
