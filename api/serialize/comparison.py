"""Comparison of two models on the same images: statistics of matched pairs. Knows no rows and no HTTP."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tsukiji.labels import split_labels
from tsukiji.significance import mcnemar
from tsukiji.types import ComparedClass

Z95 = 1.959964
HALVINGS = 50


@dataclass(frozen=True)
class Pairs:
    """Numbers of images that both models get right, only the one, only the other, or neither."""

    both: int = 0
    only_a: int = 0
    only_b: int = 0
    neither: int = 0

    @property
    def images(self) -> int:
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def accuracy_a(self) -> float:
        return (self.both + self.only_a) / self.images

    @property
    def accuracy_b(self) -> float:
        return (self.both + self.only_b) / self.images

    @property
    def difference(self) -> float:
        return (self.only_b - self.only_a) / self.images

    @property
    def p_value(self) -> float:
        return mcnemar(self.only_a, self.only_b)


def count_pairs(tallies: Iterable[tuple[str, bool, bool, int]]) -> dict[str, Pairs]:
    """Return the pairs of each label from (label, is a right, is b right, images)."""
    counts: dict[str, dict[tuple[bool, bool], int]] = defaultdict(lambda: defaultdict(int))
    for label, right_a, right_b, images in tallies:
        counts[label][right_a, right_b] += images
    return {
        label: Pairs(cells[True, True], cells[True, False], cells[False, True], cells[False, False])
        for label, cells in counts.items()
    }


def pairs_of_labels(tallies: Iterable[tuple[str, str, str, int]]) -> dict[str, Pairs]:
    """Return the pairs of each label from (true set, set of a, set of b, images): for the images with the label,
    whether each model found it.
    """
    return count_pairs(
        (label, label in split_labels(a), label in split_labels(b), images)
        for true, a, b, images in tallies
        for label in split_labels(true)
    )


def add_up(pairs: Iterable[Pairs]) -> Pairs:
    rows = list(pairs)
    return Pairs(*(sum(getattr(row, name) for row in rows) for name in ("both", "only_a", "only_b", "neither")))


def difference_interval(pairs: Pairs) -> tuple[float, float]:
    """Return the 95% interval of the difference of two accuracies on the same images.

    All differences that the score test does not reject: Tango, "Equivalence test and confidence interval for the
    difference in proportions for the paired-sample design", Statistics in Medicine 17 (1998).
    """
    found = pairs.difference

    def bound(wanted: float, low: float, high: float) -> float:
        """Bisect for the difference with this score, which decreases with the difference."""
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if score(middle, pairs.only_a, pairs.only_b, pairs.images) > wanted:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    return bound(Z95, -1.0, found), bound(-Z95, found, 1.0)


def score(difference: float, only_a: int, only_b: int, images: int) -> float:
    """Return the score statistic in favour of b against this difference of accuracies.

    The unknown share of images that only a gets right is its maximum-likelihood estimate under that difference.
    """
    linear = (2 * images - only_b + only_a) * difference - only_a - only_b
    root = math.sqrt(linear**2 + 8 * images * only_a * difference * (1 - difference))
    share_a = max((root - linear) / (4 * images), 0.0)
    variance = images * (2 * share_a + difference * (1 - difference))
    surplus = only_b - only_a - images * difference
    return surplus / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, surplus) if surplus else 0.0


def compare_classes(by_label: dict[str, Pairs]) -> list[ComparedClass]:
    """Return a row for each label, the largest losses first."""
    rows = [
        ComparedClass(
            label=label,
            images=pairs.images,
            right_a=pairs.both + pairs.only_a,
            right_b=pairs.both + pairs.only_b,
            difference=pairs.difference,
            p_value=pairs.p_value,
        )
        for label, pairs in by_label.items()
    ]
    return sorted(rows, key=lambda row: (row.difference, row.label))


def summarise(pairs: Pairs, classes: Sequence[ComparedClass]) -> str:
    """Return a one-line summary, like "+1.8 points, p = 0.03, 3 classes worse"."""
    points = round(100 * pairs.difference, 1) + 0.0  # never -0.0
    p_value = "p < 0.001" if pairs.p_value < 0.001 else f"p = {pairs.p_value:.2g}"
    worse = sum(row.right_b < row.right_a for row in classes)
    return f"{points:+.1f} points, {p_value}, {worse or 'no'} class{'' if worse < 2 else 'es'} worse"
