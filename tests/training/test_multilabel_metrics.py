"""What is said of images with several labels, held against counts by hand and against what was put in."""

import numpy as np
import pytest

from training.multilabel_metrics import (
    best_threshold,
    cross_decided,
    decide,
    fit_set_temperature,
    fit_thresholds,
    mean_average_precision,
    measure_sets,
)

NAMES = ["ant", "bee", "cat"]
TRUTH = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0]], bool)
SHARES = np.array([[0.9, 0.8, 0.1], [0.7, 0.6, 0.1], [0.2, 0.1, 0.1], [0.6, 0.4, 0.2]], np.float32)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def drawn(images=3000, labels=4, seed=1):
    """Logits that are calibrated by construction: each label is there with its probability."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(-1, 2, (images, labels))
    return logits, chance.random((images, labels)) < sigmoid(logits)


def test_counts_by_hand():
    found = measure_sets(TRUTH, SHARES, SHARES >= 0.5, NAMES, thresholds=[0.5] * 3)
    assert (found.accuracy, found.images, found.confusion) == (0.5, 4, [])
    ant, bee, cat = found.per_class
    assert (ant.precision, ant.recall, ant.support) == pytest.approx((2 / 3, 1, 2))
    assert (bee.precision, bee.recall, bee.support) == pytest.approx((1 / 2, 1 / 2, 2))
    assert (cat.precision, cat.recall, cat.f1, cat.support) == (None, None, None, 0), "unknown, and not 0"
    several = found.multi_label
    cells = [
        (row.true_positives, row.false_positives, row.false_negatives, row.true_negatives) for row in several.per_label
    ]
    assert cells == [(2, 1, 0, 1), (1, 1, 1, 1), (0, 0, 0, 4)]
    assert several.micro_f1 == pytest.approx(2 * 3 / (5 + 4))
    assert several.hamming_loss == pytest.approx(3 / 12)
    assert (several.empty, several.empty_found) == (1, 1)
    assert several.co_occurrence == [[2, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert several.predicted_co_occurrence == [[3, 2, 0], [2, 2, 0], [0, 0, 0]]
    assert found.loss == pytest.approx(-np.log(np.where(TRUTH, SHARES, 1 - SHARES)).mean(), rel=1e-5)


def test_where_no_image_has_a_label_nothing_is_known_but_that():
    nothing = np.zeros((3, 2), bool)
    found = measure_sets(nothing, np.full((3, 2), 0.1, np.float32), nothing, NAMES[:2])
    several = found.multi_label
    assert (several.mean_average_precision, several.micro_f1, several.macro_f1) == (None, None, None)
    assert [(row.precision, row.recall, row.f1) for row in found.per_class] == [(None, None, None)] * 2
    assert (several.sweep[-1].precision, several.sweep[-1].recall, several.sweep[-1].f1) == (None, None, None)
    assert (found.accuracy, several.empty_found) == (1, 3)


def test_a_label_that_no_image_has_takes_no_part_in_the_mean_average_precision():
    found = measure_sets(TRUTH, SHARES, SHARES >= 0.5, NAMES).multi_label
    ant, bee, cat = (row.average_precision for row in found.per_label)
    assert cat is None
    assert ant == pytest.approx(1)
    assert found.mean_average_precision == pytest.approx((ant + bee) / 2)
    assert mean_average_precision(TRUTH[:, 2:], SHARES[:, 2:]) is None


def test_a_single_label_against_nothing():
    found = measure_sets(TRUTH[:, :1], SHARES[:, :1], SHARES[:, :1] >= 0.5, ["ant"])
    (row,) = found.multi_label.per_label
    assert (row.true_positives, row.false_positives, row.false_negatives, row.true_negatives) == (2, 1, 0, 1)
    assert found.accuracy == 0.75


def test_the_best_threshold_parts_what_is_there_from_what_is_not():
    assert best_threshold(np.array([True, True, False, False]), np.array([0.9, 0.6, 0.2, 0.1])) == pytest.approx(0.4)
    assert best_threshold(np.array([False, False]), np.array([0.9, 0.6])) == 0.5


def test_thresholds_follow_the_labels():
    """One label is right from 0.2 on, another from 0.8 on, each with plenty of images."""
    chance = np.random.default_rng(0)
    shares = chance.random((2000, 2))
    low, high = fit_thresholds(shares >= [0.2, 0.8], shares)
    assert low == pytest.approx(0.2, abs=0.02)
    assert high == pytest.approx(0.8, abs=0.02)


def test_a_label_of_few_images_is_drawn_towards_what_is_best_for_all():
    shares = np.random.default_rng(0).random((2000, 2))
    truth = np.column_stack([shares[:, 0] >= 0.5, np.zeros(2000, bool)])
    truth[shares[:, 1].argmax(), 1] = True  # one image, which only a threshold near 1 finds alone
    usual, rare = fit_thresholds(truth, shares)
    assert usual == pytest.approx(0.5, abs=0.05)
    assert usual < rare < 0.7
    assert fit_thresholds(np.zeros((5, 2), bool), shares[:5]) == [0.5, 0.5]


def test_an_image_is_judged_by_thresholds_that_were_fitted_without_it():
    """Of pure chance, thresholds look useful on the images that they were fitted on, and are not on others."""
    chance = np.random.default_rng(3)
    truth, shares = chance.random((40, 30)) < 0.1, chance.random((40, 30))
    own = decide(shares, fit_thresholds(truth, shares))
    others = cross_decided(truth, shares)
    score = [
        measure_sets(truth, shares, decided, list(map(str, range(30)))).multi_label.macro_f1
        for decided in (own, others)
    ]
    assert score[1] < score[0]


@pytest.mark.parametrize("scale", [1, 4, 1 / 3])
def test_the_temperature_undoes_what_made_the_network_too_sure_or_too_timid(scale):
    logits, truth = drawn()
    assert fit_set_temperature(logits * scale, truth) == pytest.approx(scale, rel=0.1)
    names = ["a", "b", "c", "d"]
    temperature = fit_set_temperature(logits * scale, truth)
    shares = sigmoid(logits * scale / temperature)
    found = measure_sets(truth, shares, shares >= 0.5, names, logits=logits * scale).calibration
    assert found.temperature == pytest.approx(scale, rel=0.1)
    assert found.ece_after < 0.02
    assert scale == 1 or found.ece_before > 3 * found.ece_after


def test_it_copes_with_a_single_image():
    found = measure_sets(TRUTH[:1], SHARES[:1], cross_decided(TRUTH[:1], SHARES[:1]), NAMES, logits=SHARES[:1])
    assert found.images == 1
