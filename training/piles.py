"""Sorts unlabelled pictures into piles by their features, for a person to accept a pile at a time. Knows no pictures.

With two labels or more: a ridge regression on the labelled pictures says the likeliest label. Its held-out predictions
give the accuracy, and the temperature that turns scores into probabilities. Down to a bound on the probability, `RIGHT`
of the pictures are expected to be right; the others are doubtful, and so is what resembles no labelled picture. Before:
clusters by k-means, and of each only the core, for one name is to fit a whole cluster.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from training import ridge
from tsukiji.curation.analysis.outliers import fence
from tsukiji.curation.analysis.selection import spread

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

DOUBTFUL: Final = -1
RIGHT: Final = 0.99
"""Of the pictures of a pile, expected."""
LEAST_SURE: Final = 0.9
"""No picture below this probability is in a pile, however sure the others are."""
PENALTIES: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""As parts of the mean squared length of the features."""
USUAL_TEMPERATURE: Final = 8.0
SPREAD: Final = 0.3
"""Prior of the temperature: log-normal about the usual one, from photos of two data sets and 8 to 200 labels. A few
labels that are all predicted right say no more than that."""
FEWEST_CLUSTERS: Final = 6
MOST_CLUSTERS: Final = 16
CLUSTER_SIZE: Final = 40
CORE: Final = 0.75
"""Of a cluster, the part whose place is the clearest."""
CLUSTERED: Final = 5000
"""Pictures that centres are computed from, at most."""
ITERATIONS: Final = 30
BANK: Final = 2048
"""Labelled pictures that the others are compared with, at most."""
BLOCK: Final = 2048
SEED: Final = 0


@dataclass(frozen=True)
class Piles:
    """Where each unlabelled picture belongs.

    Attributes:
        piles: number of the label or cluster, or `DOUBTFUL`, (U,).
        labels: number of the likeliest label, (U,); `DOUBTFUL` where there are none yet.
        scores: probability of that label; or likeness to the cluster's centre, -1 to 1, (U,).
        ranks: place in the pile, the surest first; in the doubtful one, the most useful first, (U,).
        bound: the lowest probability in a pile; None where labels are not known yet.
        right: labelled pictures whose label a fit to the others predicts; None before there are two labels.
    """

    piles: Ints
    labels: Ints
    scores: Floats
    ranks: Ints
    bound: float | None = None
    right: int | None = None


def by_label(unlabelled: Floats, labelled: Floats, classes: Ints, count: int, groups: Ints | None = None) -> Piles:
    """Sort by the likeliest label.

    Args:
        unlabelled: features (U, D).
        labelled: features (N, D).
        classes: class numbers of these, (N,), of two classes at least.
        count: of the classes.
        groups: of these; pictures of one group are near-duplicates, and no judges of each other, (N,).
    """
    centred = labelled - labelled.mean(axis=0)
    length = float(np.square(centred).sum(axis=1).mean())
    found, held_out = ridge.fit(labelled, np.eye(count)[classes], [part * length for part in PENALTIES], groups)
    heat = temperature(held_out, classes)
    shares = softmax(heat * found.scores(unlabelled), axis=1)
    likeliest, scores = shares.argmax(axis=1), shares.max(axis=1, initial=0)
    alike = resembles(unlabelled, labelled)
    bound = bound_of(scores[alike])
    piles = np.where(alike & (scores >= bound), likeliest, DOUBTFUL)
    ranks = np.empty(len(piles), np.int64)
    for pile in range(count):
        rank(ranks, np.flatnonzero(piles == pile), -scores)
    doubtful = np.flatnonzero(piles == DOUBTFUL)
    ranks[doubtful[usefulness(unlabelled[doubtful], shares[doubtful])]] = np.arange(len(doubtful))
    right = int((held_out.argmax(axis=1) == classes).sum())
    return Piles(piles, likeliest, scores, ranks, bound, right)


def temperature(scores: Floats, classes: Ints) -> float:
    """Return the likeliest temperature of a softmax on held-out scores (N, C), with the prior."""

    def cost(log: float) -> float:
        logs = log_softmax(np.exp(log) * scores, axis=1)[np.arange(len(classes)), classes]
        return float(-logs.sum() + ((log - np.log(USUAL_TEMPERATURE)) / SPREAD) ** 2 / 2)

    return float(np.exp(minimize_scalar(cost, bounds=(0, np.log(100)), method="bounded").x))


def bound_of(scores: Floats) -> float:
    """Return the probability (of (U,)) down to which `RIGHT` of the pictures are expected to be right."""
    sure = np.sort(scores)[::-1]
    expected = np.cumsum(sure) / np.arange(1, len(sure) + 1)
    enough = np.flatnonzero(expected >= RIGHT)  # falls all the way down
    return max(float(sure[enough[-1]]), LEAST_SURE) if len(enough) else RIGHT


def resembles(unlabelled: Floats, labelled: Floats) -> NDArray[np.bool_]:
    """Return which pictures are as like a labelled one as those are like each other (by the cosine, within Tukey's
    fence), (U,). Of 150 photos of other things beside cats and dogs, 7 remained in a pile in place of 33.
    """
    bank = unit(labelled[:: -(-len(labelled) // BANK)])
    among = bank @ bank.T
    np.fill_diagonal(among, -1)
    usual = fence(*np.percentile(among.max(axis=1), (25, 75)))
    found = [(unit(part) @ bank.T).max(axis=1) >= usual for part in blocks(unlabelled)]
    return np.concatenate(found) if found else np.zeros(0, bool)


def blocks(rows: Floats) -> list[Floats]:
    return [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]


def usefulness(features: Floats, shares: Floats) -> list[int]:
    """Return all of the pictures: first those that together would teach the most, then the least sure."""
    changes = shares.copy()
    changes[np.arange(len(shares)), shares.argmax(axis=1)] -= 1
    first = spread(changes.astype(np.float64), features.astype(np.float64)) if len(features) else []
    chosen = set(first)
    return first + [int(number) for number in np.argsort(shares.max(axis=1, initial=0)) if number not in chosen]


def by_likeness(features: Floats) -> Piles:
    """Sort features (U, D) into clusters, the largest first."""
    if not len(features):
        nowhere = np.zeros(0, np.int64)
        return Piles(nowhere, nowhere, np.zeros(0), nowhere)
    rows = unit(features - features.mean(axis=0))
    count = min(max(FEWEST_CLUSTERS, len(rows) // CLUSTER_SIZE), MOST_CLUSTERS, len(rows))
    random = np.random.default_rng(SEED)
    some = rows if len(rows) <= CLUSTERED else rows[random.choice(len(rows), CLUSTERED, replace=False)]
    centres, _ = kmeans2(some, count, ITERATIONS, minit="++", rng=random, missing="warn")
    likeness = rows @ unit(centres).T
    nearest = likeness.argmax(axis=1)
    own = likeness[np.arange(len(rows)), nearest]
    others = likeness.copy()
    others[np.arange(len(rows)), nearest] = -1
    clearness = own - others.max(axis=1)
    piles, ranks = np.full(len(rows), DOUBTFUL, np.int64), np.empty(len(rows), np.int64)
    members = [np.flatnonzero(nearest == number) for number in range(count)]
    for number, part in enumerate(sorted(members, key=len, reverse=True)):
        core = part[np.argsort(-clearness[part], kind="stable")][: int(np.ceil(CORE * len(part)))]
        piles[core] = number
        rank(ranks, core, -own)
    rank(ranks, np.flatnonzero(piles == DOUBTFUL), clearness)
    return Piles(piles, np.full(len(rows), DOUBTFUL, np.int64), own, ranks)


def rank(ranks: Ints, members: NDArray[np.intp], costs: Floats) -> None:
    """Number the members from the lowest cost up, in place."""
    ranks[members[np.argsort(costs[members], kind="stable")]] = np.arange(len(members))


def unit(rows: Floats) -> Floats:
    whole: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return whole
