"""What a linear probe's like would have said of the pictures it learnt from: five folds of heads over all pictures.

The held-out pictures are one fold, which the served head judges. The others are up to four parts of the pictures that
it learnt from, each judged by a head that learnt from the rest of all labelled pictures, but never from more than the
served head did, with its penalty and its temperature. Pictures that belong together are in one part, and those that
belong to a held-out one are left out. Arrays only; decision 47 says what may be concluded.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from training.mahalanobis import fit as fit_means
from training.metrics import SEED, folds
from training.probe import Linear, Problem, Step, fit
from tsukiji.types.batches import MIN_KNOWN
from tsukiji.vision.predictor import softmax

MOST_PARTS: Final = 4
"""With the held-out pictures five folds."""

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Labelled:
    """N pictures with one label each.

    Attributes:
        features: means of earlier maps, and of the last ones, from which a probe learns, (N, D).
        classes: class numbers, (N,).
        units: which belong together, (N,), see `tsukiji.curation.groups`.
    """

    features: Floats
    classes: Ints
    units: Ints

    def part(self, rows: Bools | Ints) -> "Labelled":
        return Labelled(self.features[rows], self.classes[rows], self.units[rows])

    def joined(self, other: "Labelled") -> "Labelled":
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return Labelled(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True)
class Probe:
    """How the served head was fitted, and its like are.

    Attributes:
        labels: how many there are.
        middle: how many of the features are means of earlier maps.
        penalty: see `training.probe`.
        iterations: at most.
        class_weights: (C,), or None for equal weights.
        step: called after each iteration.
    """

    labels: int
    middle: int
    penalty: float
    iterations: int
    class_weights: NDArray[np.floating] | None = None
    step: Step | None = None

    def fit(self, learnt: Labelled) -> Linear:
        sets = np.eye(self.labels, dtype=np.bool_)[learnt.classes]
        problem = Problem(learnt.features[:, self.middle :], sets, True, self.class_weights)
        return fit(problem, self.iterations, self.step, self.penalty)[0]

    def judge(self, pictures: Labelled, learnt: Labelled, temperature: float, known_from: float = 0.0) -> "Judged":
        """Return what a head says of pictures that has learnt from others; known are those of at least this score."""
        logits = self.fit(learnt).logits(pictures.features[:, self.middle :])
        shares = softmax(logits.astype(np.float32) / np.float32(temperature))
        statistics = fit_means(learnt.features, learnt.classes, pictures.features, self.middle)
        known = statistics.scores(pictures.features) >= known_from
        return Judged(pictures.classes, shares.argmax(axis=1), shares.max(axis=1), known)


@dataclass(frozen=True)
class Judged:
    """What a model says of N pictures that it has not learnt from, each (N,).

    Attributes:
        truth: class numbers.
        taken_for: predicted ones.
        scores: probabilities of those.
        known: whether each resembles what the model knows.
    """

    truth: Ints
    taken_for: Ints
    scores: NDArray[np.floating]
    known: Bools

    def joined(self, other: "Judged") -> "Judged":
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return Judged(*(np.concatenate(pair) for pair in pairs))


def cross_fit(learnt: Labelled, held_out: Labelled, probe: Probe, temperature: float) -> Judged | None:
    """Return what heads that have not seen them say of the pictures that the served head learnt from.

    Args:
        learnt: these pictures.
        held_out: those that the served head is evaluated on.
        probe: the served head's.
        temperature: the served one's.
    """
    found, known_from = None, surely_strange(len(held_out.classes))
    for mine, others in _parts(learnt, held_out):
        judged = probe.judge(mine, _thinned(others.joined(held_out), len(learnt.classes)), temperature, known_from)
        found = judged if found is None else found.joined(judged)
    return found


def surely_strange(held_out: int) -> float:
    """Return the part of new pictures that the served limit rejects at least, with a confidence of 95%.

    It is meant to reject `MIN_KNOWN` of them, but is an order statistic of as many pictures as are held out.
    """
    return float(beta.ppf(0.05, MIN_KNOWN * held_out, (1 - MIN_KNOWN) * held_out + 1))


def _parts(learnt: Labelled, held_out: Labelled) -> Iterator[tuple[Labelled, Labelled]]:
    """Yield parts of the pictures, each with all others that were learnt from.

    They are no larger than what is held out, if four are enough for that: then no head learns from fewer pictures.
    """
    _, first, unit_of = np.unique(learnt.units, return_index=True, return_inverse=True)
    count = min(math.ceil(len(learnt.classes) / len(held_out.classes)), MOST_PARTS)
    part_of = folds(learnt.classes[first], count)[unit_of]
    alone = ~np.isin(learnt.units, held_out.units)
    for number in range(count):
        mine = part_of == number
        if (mine & alone).any():
            yield learnt.part(mine & alone), learnt.part(~mine)


def _thinned(pictures: Labelled, most: int) -> Labelled:
    """Return at most so many of the pictures, drawn at random."""
    drawn = np.random.default_rng(SEED).permutation(len(pictures.classes))[:most]
    return pictures.part(np.sort(drawn))
