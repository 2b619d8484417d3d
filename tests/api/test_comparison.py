"""The arithmetic of matched pairs."""

import math

import pytest

from api.comparison import Pairs, add_up, compare_classes, count_pairs, difference_interval, mcnemar, summarise


def test_mcnemar_is_the_fair_coin():
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 5) == 1
    assert mcnemar(1, 0) == 1
    assert mcnemar(0, 6) == mcnemar(6, 0) == pytest.approx(2 / 2**6)
    exact = 2 * sum(math.comb(31, heads) for heads in range(10)) / 2**31
    assert mcnemar(9, 22) == pytest.approx(exact)


def test_mcnemar_of_very_many_images():
    assert mcnemar(50_000, 50_000) == 1
    assert mcnemar(49_500, 50_500) == pytest.approx(0.00157, abs=1e-4)  # 3.16 standard deviations
    assert mcnemar(10_000, 90_000) == pytest.approx(0, abs=1e-100)


def test_the_interval_by_hand():
    pairs = Pairs(both=70, only_a=5, only_b=15, neither=10)
    assert (pairs.accuracy_a, pairs.accuracy_b, pairs.difference) == pytest.approx((0.75, 0.85, 0.1))
    low, high = difference_interval(pairs)
    middle, half = 10 / 102, 1.959964 * math.sqrt(21 - 100 / 102) / 102
    assert (low, high) == pytest.approx((middle - half, middle + half))
    assert difference_interval(Pairs(neither=1))[0] >= -1
    assert difference_interval(Pairs(both=3)) != (0, 0), "three images that agree prove little"


def test_classes_and_their_sum():
    by_label = count_pairs(
        [("cat", True, True, 6), ("cat", True, False, 3), ("dog", False, True, 4), ("dog", False, False, 2)]
    )
    assert add_up(by_label.values()) == Pairs(both=6, only_a=3, only_b=4, neither=2)
    cat, dog = compare_classes(by_label)
    assert (cat.label, cat.images, cat.right_a, cat.right_b, cat.difference) == ("cat", 9, 9, 6, pytest.approx(-1 / 3))
    assert (dog.label, dog.right_a, dog.right_b) == ("dog", 0, 4)
    assert summarise(add_up(by_label.values()), [cat, dog]) == "+6.7 points, p = 1, 1 class worse"


def test_the_summary_in_other_words():
    assert summarise(Pairs(both=900, only_a=10, only_b=28), []) == "+1.9 points, p = 0.0051, no class worse"
    assert summarise(Pairs(both=1, only_a=40), []) == "-97.6 points, p < 0.001, no class worse"
    assert summarise(Pairs(both=10_000, only_a=1), []) == "+0.0 points, p = 1, no class worse"
