"""The arithmetic of matched pairs."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from api.serialize.comparison import (
    Pairs,
    add_up,
    compare_classes,
    count_pairs,
    difference_interval,
    mcnemar,
    summarise,
)


def test_mcnemar_by_hand():
    assert mcnemar(0, 0) == mcnemar(5, 5) == 1
    assert mcnemar(9, 22) == mcnemar(22, 9) == pytest.approx(math.erfc(13 / math.sqrt(31) / math.sqrt(2)))
    assert mcnemar(0, 3) == pytest.approx(0.0833, abs=1e-4)


def test_mcnemar_of_very_many_images():
    assert mcnemar(50_000, 50_000) == 1
    assert mcnemar(49_500, 50_500) == pytest.approx(0.00157, abs=1e-4)  # 3.16 standard deviations
    assert mcnemar(10_000, 90_000) == pytest.approx(0, abs=1e-100)


def likeliest_share(difference, pairs):
    """The share of images that only a gets right which the counts speak for most, by trying."""
    images, only_a, only_b = pairs.images, pairs.only_a, pairs.only_b
    shares = np.linspace(max(0, -difference), (1 - difference) / 2, 200_001)[1:-1]
    same = 1 - 2 * shares - difference
    likelihood = only_a * np.log(shares) + only_b * np.log(shares + difference)
    return shares[np.argmax(likelihood + (images - only_a - only_b) * np.log(same))]


@pytest.mark.parametrize("pairs", [Pairs(70, 5, 15, 10), Pairs(10, 1, 8, 3), Pairs(900, 40, 12, 5)])
def test_the_bounds_are_where_the_score_test_begins_to_reject(pairs):
    for bound in difference_interval(pairs):
        share = likeliest_share(bound, pairs)
        deviation = math.sqrt(pairs.images * (2 * share + bound - bound**2))
        assert abs(pairs.only_b - pairs.only_a - pairs.images * bound) / deviation == pytest.approx(1.96, abs=1e-3)


def test_the_interval_of_few_images():
    assert difference_interval(Pairs(both=44, only_b=1)) == pytest.approx((-0.058, 0.1157), abs=1e-3)
    low, high = difference_interval(Pairs(both=3))
    assert low == pytest.approx(-high)
    assert high > 0.5, "three images that agree prove little"
    assert difference_interval(Pairs(only_b=5))[1] == pytest.approx(1)


@given(*[st.integers(0, 60)] * 4)
@example(40, 0, 3, 0)
@example(40, 0, 4, 0)
@example(0, 1, 8, 1)
def test_the_interval_and_the_p_value_never_contradict_each_other(both, only_a, only_b, neither):
    assume(both + only_a + only_b + neither)
    pairs = Pairs(both, only_a, only_b, neither)
    low, high = difference_interval(pairs)
    assert -1 <= low <= pairs.difference <= high <= 1
    assert (low > 0 or high < 0) == (pairs.p_value < 0.05)
    swapped = difference_interval(Pairs(both, only_b, only_a, neither))
    assert swapped == pytest.approx((-high, -low), abs=1e-9)


def test_classes_and_their_sum():
    by_label = count_pairs(
        [("cat", True, True, 6), ("cat", True, False, 3), ("dog", False, True, 4), ("dog", False, False, 2)]
    )
    assert add_up(by_label.values()) == Pairs(both=6, only_a=3, only_b=4, neither=2)
    cat, dog = compare_classes(by_label)
    assert (cat.label, cat.images, cat.right_a, cat.right_b, cat.difference) == ("cat", 9, 9, 6, pytest.approx(-1 / 3))
    assert (dog.label, dog.right_a, dog.right_b) == ("dog", 0, 4)
    assert summarise(add_up(by_label.values()), [cat, dog]) == "+6.7 points, p = 0.71, 1 class worse"


def test_the_summary_in_other_words():
    assert summarise(Pairs(both=900, only_a=10, only_b=28), []) == "+1.9 points, p = 0.0035, no class worse"
    assert summarise(Pairs(both=1, only_a=40), []) == "-97.6 points, p < 0.001, no class worse"
    assert summarise(Pairs(both=10_000, only_a=1), []) == "+0.0 points, p = 0.32, no class worse"
