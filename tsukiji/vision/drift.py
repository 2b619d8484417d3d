"""Drift: how the pictures of a batch differ from those that a model's training held out.

Both are kept as a distribution: counts and sums, which add up. The test asks one question: are there more strange
pictures, those that resemble no class, than held-out pictures explain? A picture is strange if its known score is below
the r-th lowest of the n held-out pictures with the same predicted label. If both were of one kind, the fraction below
would be Beta(r, n - r + 1) distributed whatever the scores are, so the reference's own noise counts, exactly; and
because each label is compared with itself, another mix of labels raises no alarm. Knows no torch and no database.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tsukiji.errors import PackageInvalid
from tsukiji.types.batches import MIN_KNOWN
from tsukiji.vision import package
from tsukiji.vision.package import MOST_LABELS, Part

BINS: Final = 20
"""Of a histogram over 0 to 1."""
FEATURES: Final = 32
GROUP_IMAGES: Final = 20
"""Labels with fewer held-out pictures are compared together."""
MOST_GROUPS: Final = 16
DRAWS: Final = 10_000
LEVEL: Final = 0.005
"""An alarm is raised at this p-value or a lower one."""

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Counts = Annotated[list[Count], Field(max_length=MOST_LABELS)]
Bins = Annotated[list[Count], Field(min_length=BINS, max_length=BINS)]


@dataclass(frozen=True)
class Distribution:
    """Counts of pictures, by a model with C labels.

    Attributes:
        labels: by predicted label (the likeliest one), (C,).
        strange: those of them that are strange, (C,); 0 without a reference.
        scores: by the probability of that label, (BINS,).
        known: by known score, (BINS,); 0 if the model has none.
        features: sum of their `fourier_features`, (FEATURES,).
    """

    labels: Ints
    strange: Ints
    scores: Ints
    known: Ints
    features: Floats

    @property
    def images(self) -> int:
        return int(self.labels.sum())

    @classmethod
    def of(
        cls,
        classes: Ints,
        scores: Floats,
        known: Floats | None,
        features: Floats,
        num_labels: int,
        held_out: "HeldOut | None" = None,
    ) -> Self:
        """Count N pictures.

        Args:
            classes: numbers of their likeliest labels, (N,).
            scores: the probabilities of those, (N,).
            known: their known scores, (N,).
            features: their `fourier_features`, (N, FEATURES).
            num_labels: C.
            held_out: the model's own held-out pictures, which tell what is strange.
        """
        strange = np.zeros(len(classes), np.bool_)
        if held_out is not None and known is not None:
            strange = known < np.asarray(held_out.thresholds)[np.asarray(held_out.groups)[classes]]
        return cls(
            np.bincount(classes, minlength=num_labels),
            np.bincount(classes[strange], minlength=num_labels),
            histogram(scores),
            histogram(np.empty(0) if known is None else known),
            features.sum(axis=0, dtype=np.float64),
        )

    def __add__(self, other: "Distribution") -> "Distribution":
        return Distribution(
            self.labels + other.labels,
            self.strange + other.strange,
            self.scores + other.scores,
            self.known + other.known,
            self.features + other.features,
        )

    def to_bytes(self) -> bytes:
        """Return some hundred bytes; for a thousand labels some thousand."""
        counts = np.concatenate([self.labels, self.strange, self.scores, self.known])
        return zlib.compress(counts.astype("<i4").tobytes() + self.features.astype("<f4").tobytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        whole = zlib.decompress(data)
        counts = np.frombuffer(whole[: -4 * FEATURES], "<i4").astype(np.int64)
        num_labels = (len(counts) - 2 * BINS) // 2
        cuts = [num_labels, 2 * num_labels, 2 * num_labels + BINS]
        labels, strange, scores, known = np.split(counts, cuts)
        return cls(labels, strange, scores, known, np.frombuffer(whole[-4 * FEATURES :], "<f4").astype(np.float64))


class HeldOut(Part):
    """`held_out.json` of a package: the distribution of the pictures that its training held out, and what is strange.

    Labels are compared in groups: each with enough held-out pictures by itself, the others together.
    """

    labels: Counts
    """Pictures by predicted label, in the order of the model's labels."""
    scores: Bins
    known: Bins
    features: Annotated[list[float], Field(min_length=FEATURES, max_length=FEATURES)]
    """The sum of their `fourier_features`."""
    groups: Counts
    """Of each label, the number of its group."""
    images: Annotated[list[Annotated[int, Field(ge=1, lt=2**53)]], Field(max_length=MOST_GROUPS)]
    """Of each group: its pictures."""
    ranks: Annotated[list[Annotated[int, Field(ge=1)]], Field(max_length=MOST_GROUPS)]
    thresholds: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(max_length=MOST_GROUPS)]
    """The known score with that rank, counted from 1 upwards: less is strange."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        groups = len(self.images)
        if not len(self.ranks) == len(self.thresholds) == groups or len(self.labels) != len(self.groups):
            raise ValueError("the members do not have the same length")
        if not groups or max(self.groups, default=groups) >= groups:
            raise ValueError("a label is in no group")
        if any(rank > images for rank, images in zip(self.ranks, self.images, strict=True)):
            raise ValueError("a rank is beyond the pictures of its group")
        return self

    @classmethod
    def of(cls, classes: Ints, scores: Floats, known: Floats, features: Floats, num_labels: int) -> Self:
        """Count N >= 1 held-out pictures; arguments as for `Distribution.of`."""
        found = Distribution.of(classes, scores, known, features, num_labels)
        groups = group(found.labels)
        members = [np.sort(known[groups[classes] == number]) for number in range(groups.max() + 1)]
        ranks = [max(1, round(MIN_KNOWN * len(part))) for part in members]
        return cls(
            labels=found.labels.tolist(),
            scores=found.scores.tolist(),
            known=found.known.tolist(),
            features=[round(float(value), 6) for value in found.features],
            groups=groups.tolist(),
            images=[len(part) for part in members],
            ranks=ranks,
            thresholds=[float(part[rank - 1]) for part, rank in zip(members, ranks, strict=True)],
        )

    @property
    def distribution(self) -> Distribution:
        """Their counts; none of them counts as strange."""
        labels, scores, known = (np.asarray(part, np.int64) for part in (self.labels, self.scores, self.known))
        return Distribution(labels, np.zeros_like(labels), scores, known, np.asarray(self.features))


def read_held_out(folder: Path) -> HeldOut | None:
    """Return what a package says of its held-out pictures; None for packages of earlier versions.

    Raises:
        PackageInvalid: the file is invalid, or for another number of labels.
    """
    if not (folder / package.HELD_OUT).exists():
        return None
    found = package.read_part(folder, package.HELD_OUT, HeldOut)
    if len(found.labels) != package.read_config(folder).num_classes:
        raise PackageInvalid(f"{package.HELD_OUT} has other labels than {package.CONFIG}.")
    return found


@dataclass(frozen=True)
class Verdict:
    """What the test says of a batch.

    Attributes:
        strange: how many pictures are strange.
        expected: how many would be if all were of the kinds that were held out.
        p_value: the probability of at least this many by chance.
    """

    strange: int
    expected: float
    p_value: float

    @property
    def exceeded(self) -> bool:
        return self.p_value <= LEVEL


def judge(found: Distribution, held_out: HeldOut) -> Verdict:
    """Test whether a batch has more strange pictures than held-out ones explain.

    Pictures of a batch often resemble each other (bursts, repetitions), so a group counts at most as many independent
    ones as were held out.
    """
    places = np.asarray(held_out.groups)
    images, strange = (np.bincount(places, part, len(held_out.images)) for part in (found.labels, found.strange))
    random, expected, chances = np.random.default_rng(0), 0.0, np.zeros(DRAWS)
    for count, rank, reference in zip(images, held_out.ranks, held_out.images, strict=True):
        if count:
            independent = min(int(count), reference)
            below = random.binomial(independent, random.beta(rank, reference - rank + 1, DRAWS))
            chances += below * (count / independent)
            expected += count * rank / (reference + 1)
    seen = strange.sum()
    at_least = int((chances >= seen - 1e-6).sum())
    return Verdict(int(seen), float(expected), (1 + at_least) / (1 + DRAWS))


def group(labels: Ints) -> Ints:
    """Return the group of each label, (C,), given how many held-out pictures each has: no group is without any."""
    order = np.argsort(-labels, kind="stable")
    own = [label for label in order[: MOST_GROUPS - 1] if labels[label] >= GROUP_IMAGES]
    rest = order[len(own) :]
    if len(rest) and own and labels[rest].sum() < GROUP_IMAGES:
        own.pop()
    groups = np.full(len(labels), len(own))
    groups[own] = np.arange(len(own))
    return groups


def histogram(values: Floats) -> Ints:
    return np.bincount(np.minimum(values * BINS, BINS - 1).astype(np.int64), minlength=BINS)


# --- told beside it, without an alarm --------------------------------------------------------------------------------


def total_variation(a: Sequence[int] | Ints, b: Sequence[int] | Ints) -> float | None:
    """Return how different two distributions of counts are, 0 to 1; None if one is empty."""
    left, right = np.asarray(a, float), np.asarray(b, float)
    if not left.sum() or not right.sum():
        return None
    return float(np.abs(left / left.sum() - right / right.sum()).sum() / 2)


def kolmogorov(a: Sequence[int] | Ints, b: Sequence[int] | Ints) -> float | None:
    """Return the Kolmogorov-Smirnov distance of two histograms, 0 to 1; None if one is empty."""
    left, right = np.cumsum(np.asarray(a, float)), np.cumsum(np.asarray(b, float))
    return float(np.abs(left / left[-1] - right / right[-1]).max()) if left[-1] and right[-1] else None


def discrepancy(a: Distribution, b: Distribution) -> float | None:
    """Return the maximum mean discrepancy (MMD) of two sets of embeddings; None if one is empty.

    Gretton, Borgwardt, Rasch, Schoelkopf and Smola, "A kernel two-sample test", JMLR 2012.
    """
    if not a.images or not b.images:
        return None
    return float(np.linalg.norm(a.features / a.images - b.features / b.images))


def fourier_features(embeddings: Floats, num_middle: int) -> Floats:
    """Return (N, FEATURES) of embeddings (N, E): random Fourier features of a Gaussian kernel.

    Their products approximate the kernel (Rahimi and Recht, NIPS 2007), so their mean is a sketch of a distribution.
    The embeddings' three parts (`tsukiji.vision.model`) are scaled to length 1, as `training.random_projection` does.
    """
    half = num_middle + (embeddings.shape[1] - num_middle) // 2
    weights, phases = projection(embeddings.shape[1])
    angles = np.broadcast_to(phases, (len(embeddings), FEATURES)).copy()
    for start, end in ((0, num_middle), (num_middle, half), (half, embeddings.shape[1])):
        part = embeddings[:, start:end]
        angles += part @ weights[start:end] / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-6)
    return np.asarray(np.cos(angles) * np.sqrt(2 / FEATURES), np.float32)


@cache
def projection(width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    # The only numpy generator that guarantees the same numbers in every version.
    random = np.random.RandomState(0)
    weights = random.standard_normal((width, FEATURES)).astype(np.float32)
    return weights, random.uniform(0, 2 * np.pi, FEATURES).astype(np.float32)
