import numpy as np
import pytest

from tsukiji.guarantee.sequential import interval, sample_size


def test_an_interval_holds_the_truth_whenever_one_stops():
    random, outside = np.random.default_rng(5), 0
    for number in range(60):
        bad = (10, 40, 2)[number % 3]
        wrong = np.cumsum(random.permutation(np.arange(500) < bad))
        found = [interval(int(wrong[checked - 1]), checked, 500, 0.02, 0.95) for checked in range(1, 400, 8)]
        outside += any(not low <= bad / 500 <= high for low, high in found)
    assert outside <= 5


def test_nothing_is_known_before_the_first_answer_and_all_after_the_last():
    assert interval(0, 0, 200, 0.02, 0.95) == (0, 1)
    assert interval(3, 200, 200, 0.02, 0.95) == (0.015, 0.015)


def test_answers_narrow_it():
    few, many = interval(1, 50, 2000, 0.02, 0.95), interval(6, 600, 2000, 0.02, 0.95)
    assert few[0] <= many[0] <= 0.01 <= many[1] < few[1]
    assert interval(30, 100, 2000, 0.02, 0.95)[0] > 0.02, "such a batch breaks its bound"


@pytest.mark.parametrize(("decided", "target"), [(5000, 0.02), (300, 0.05), (40, 0.01), (1, 0.02)])
def test_the_sample_confirms_a_target_with_one_error_or_is_everything(decided, target):
    size = sample_size(decided, target, 0.95)
    assert 1 <= size <= decided
    assert size == decided or interval(1, size, decided, target, 0.95)[1] <= target
