from itertools import product

import numpy as np
import pytest

from tsukiji.guarantee.selective import bounds, evidence, guarantee, steps_of, tail, upper_limit


def drawn(random, images, slope=2.7):
    """Probabilities of a calibrated model, right in 98%, and whether it is wrong."""
    scores = 1 / (1 + np.exp(-random.gamma(3, slope, images)))
    return scores, random.random(images) > scores


def promise(scores, wrong, target, confidence=0.95, **options):
    truth = wrong.astype(np.int64)
    known = np.ones(len(wrong), np.bool_)
    found = evidence(scores, truth, np.zeros_like(truth), known, ["cat", "dog"], **options)
    return guarantee(found, target, confidence)


@pytest.mark.parametrize(("rate", "level"), [(0.1, 0.05), (0.3, 0.1), (0.2, 0.01)])
def test_a_walk_of_errors_comes_below_its_bounds_as_seldom_as_said(rate, level):
    points, allowed = bounds(14, rate, level)
    crossed = 0.0
    for walk in product((0, 1), repeat=14):
        errors = np.cumsum(walk)
        if (errors[points - 1] <= allowed).any():
            crossed += rate ** errors[-1] * (1 - rate) ** (14 - errors[-1])
    assert crossed <= level
    assert (allowed >= 0).any() == ((1 - rate) ** 14 <= level)


def test_what_is_promised_is_kept_in_new_pictures():
    random, over, decided = np.random.default_rng(3), 0, []
    new, wrong_new = drawn(random, 100_000)
    for _ in range(150):
        found = promise(*drawn(random, 300), 0.02)
        inside = new >= (2 if found.threshold is None else found.threshold)
        decided.append(inside.mean())
        over += bool(inside.any() and wrong_new[inside].mean() > 0.02)
    assert over <= 8
    assert np.mean(decided) > 0.75


def test_even_if_the_surest_are_wrong_exactly_as_often_as_the_target():
    random = np.random.default_rng(4)
    met = [promise(random.random(300), random.random(300) < 0.05, 0.0499).threshold is not None for _ in range(200)]
    assert np.mean(met) <= 0.09


def test_a_threshold_decides_what_it_counted():
    scores = np.array([0.9] * 200 + [0.8] * 100)
    wrong = np.array([False] * 200 + [True] * 100)
    found = promise(scores, wrong, 0.02)
    assert (found.threshold, found.decided, found.errors, found.images) == (0.9, 200, 0, 300)
    assert found.coverage == pytest.approx(2 / 3)
    assert found.bound is not None
    assert found.bound <= 0.02


def test_equal_scores_are_decided_together():
    scores, wrong = np.full(300, 0.9), np.zeros(300, np.bool_)
    wrong[:50] = True
    assert promise(scores, wrong, 0.05).threshold is None
    assert steps_of(scores, wrong).decided[0] == 0


def test_too_few_pictures_say_how_many_more_there_must_be():
    scores, right = np.linspace(0.5, 1, 80), np.zeros(80, np.bool_)
    found = promise(scores, right, 0.01)
    assert (found.threshold, found.coverage) == (None, 0)
    more = found.more_images
    assert more is not None
    assert 200 < more < 400
    again = promise(np.linspace(0.5, 1, 80 + more), np.zeros(80 + more, np.bool_), 0.01)
    assert again.threshold is not None


def test_no_number_of_pictures_helps_a_model_whose_surest_answers_are_wrong():
    scores = np.linspace(1, 0.5, 400)
    wrong = np.arange(400) % 5 == 0
    assert promise(scores, wrong, 0.02).more_images is None


def test_pictures_that_chose_among_networks_promise_less():
    scores, right = np.linspace(0.5, 1, 160), np.zeros(160, np.bool_)
    assert promise(scores, right, 0.02).threshold is not None
    assert promise(scores, right, 0.02, candidates=10).threshold is None


def test_each_label_has_a_threshold_of_its_own_and_strange_pictures_count_for_none():
    truth = np.array([0] * 200 + [1] * 20)
    scores, known = np.linspace(1, 0.6, 220), np.ones(220, np.bool_)
    known[:10] = False
    found = guarantee(evidence(scores, truth, truth, known, ["cat", "dog"]), 0.05)
    cat, dog = found.by_label
    assert (found.decided, found.images) == (210, 220)
    assert (cat.label, cat.decided, dog.label, dog.threshold) == ("cat", 190, "dog", None)
    assert dog.more_images


def test_binomial_tails_and_limits():
    assert tail(0, 149, 0.02) == pytest.approx(0.98**149)
    assert tail(5, 5, 0.3) == 1
    assert upper_limit(0, 100, 0.05) == pytest.approx(1 - 0.05 ** (1 / 100), abs=1e-6)
    assert upper_limit(3, 100, 0.05) == pytest.approx(0.0757, abs=1e-4)
