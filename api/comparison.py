"""Two models on the same images: the arithmetic of matched pairs. Knows no rows and no HTTP."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tsukiji.labels import split_labels
from tsukiji.types import ComparedClass

Z95 = 1.959964


@dataclass(frozen=True)
class Pairs:
    """Images that both models name rightly, only the one, only the other, or neither."""

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
    """Return the pairs of each label from (true set, set of a, set of b, images): of the images that have the label,
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


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the two-sided p-value of the exact McNemar test.

    If both models were equally good, each image that only one of them gets right would be a throw of a fair coin.
    """
    throws, fewer = only_a + only_b, min(only_a, only_b)
    # By logarithms, as the binomial coefficients of many images are too large for a float.
    whole = math.lgamma(throws + 1) - throws * math.log(2)
    tail = math.fsum(
        math.exp(whole - math.lgamma(heads + 1) - math.lgamma(throws - heads + 1)) for heads in range(fewer + 1)
    )
    return min(1.0, 2 * tail)


def difference_interval(pairs: Pairs) -> tuple[float, float]:
    """Return the 95% interval of the difference of two accuracies on the same images.

    Wald's, with half an image added to each of the four cells, which makes it hold for few images too: Agresti and
    Min, "Simple improved confidence intervals for comparing matched proportions", Statistics in Medicine 24 (2005).
    """
    images, only_a, only_b = pairs.images + 2, pairs.only_a + 0.5, pairs.only_b + 0.5
    difference = (only_b - only_a) / images
    half = Z95 * math.sqrt(only_a + only_b - images * difference**2) / images
    return max(-1.0, difference - half), min(1.0, difference + half)


def compare_classes(by_label: dict[str, Pairs]) -> list[ComparedClass]:
    """Return a row for each label, those that lost most first."""
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
    """Say it in a line, like "+1.8 points, p = 0.03, 3 classes worse"."""
    points = round(100 * pairs.difference, 1) + 0.0  # never -0.0
    p_value = "p < 0.001" if pairs.p_value < 0.001 else f"p = {pairs.p_value:.2g}"
    worse = sum(row.right_b < row.right_a for row in classes)
    return f"{points:+.1f} points, {p_value}, {worse or 'no'} class{'' if worse < 2 else 'es'} worse"
