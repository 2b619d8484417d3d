"""What most images have is not listed for all of them."""

import numpy as np

from tsukiji.curation.analysis.prevalence import is_prevalent, worst


def test_few_findings_are_all_listed():
    assert worst(np.zeros(10), 100).all()
    assert worst(np.zeros(10), 15).all(), "of so few images nobody can say what is usual"


def test_of_many_the_worst_tenth_is_listed():
    scores = np.random.default_rng(0).permutation(300) / 300
    listed = worst(scores, 1000)
    assert is_prevalent(300, 1000)
    assert sorted(scores[listed]) == [number / 300 for number in range(100)]


def test_of_what_all_have_those_are_listed_that_stand_out():
    scores = np.random.default_rng(0).normal(0.2, 0.01, 1000)
    scores[[7, 400]] = 0.02, 0.05
    assert set(np.flatnonzero(worst(scores, 1000))) >= {7, 400}
    assert worst(scores, 1000).sum() < 40


def test_what_all_have_alike_is_listed_of_none():
    assert not worst(np.zeros(1797), 1797).any()
    assert not worst(np.zeros(400), 1797).any()
