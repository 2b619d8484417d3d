"""Which labels may be wrong: a classifier that never saw an image says another one. Knows no network and no pictures.

A ridge classifier on frozen embeddings, whose leave-one-out predictions have a closed form (the PRESS formula; Rifkin
and Lippert, "Notes on regularized least squares", 2007), so that every image is judged by all others. Ranking by the
margin between the given label and the best other one follows Northcutt, Jiang and Chuang, "Confident learning",
JAIR 2021. Its strength is chosen by the same leave-one-out predictions. Where images have several labels, each is
judged against its absence, and an image by its worst: Thyagarajan, Snorrason, Northcutt and Mueller, "Identifying
incorrect annotations in multi-label classification data", 2022.
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
WRONG_LOG_ODDS: Final = math.log(19)
"""One label in twenty is wrong; data sets of the field have some percent of wrong labels."""


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
    """Return (image, suggested class, score of the given class in 0..1), most suspicious first, at most `LISTED`.

    Only images for which another class has the best score are listed.
    """
    images = np.arange(len(classes))
    given = scores[images, classes]
    others = scores.copy()
    others[images, classes] = -np.inf
    suggested, margins = others.argmax(axis=1), given - others.max(axis=1)
    order = [int(image) for image in np.argsort(margins, kind="stable") if margins[image] < 0][:LISTED]
    return [(image, int(suggested[image]), float(np.clip(given[image], 0, 1))) for image in order]


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
