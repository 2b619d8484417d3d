from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from training import guarantees
from training.conclusion import candidates_of
from training.cross_fitting import Judged
from training.metrics import measure
from tsukiji.guarantee.selective import overall


def sure(images, wrong, classes=3):
    """Logits of a model whose least sure answers are the wrong ones."""
    truth = np.arange(images) % classes
    logits = np.zeros((images, classes), np.float32)
    logits[np.arange(images), truth] = np.linspace(9, 3, images)
    logits[images - wrong :] = np.roll(logits[images - wrong :], 1, axis=1) / 6
    return logits, truth


def metrics_of(logits, truth, names, candidates=1, cross_fitted=None):
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    metrics = measure(truth, shares, names, logits)
    scores, known = guarantees.decision_scores(logits, truth), np.ones(len(truth), np.bool_)
    guarantees.add(metrics, Judged(truth, logits.argmax(axis=1), scores, known), shares, candidates, cross_fitted)
    return metrics


def test_the_table_says_what_can_be_decided_for_each_target():
    rows = metrics_of(*sure(400, 12), ["cat", "dog", "owl"]).guarantees
    assert [row.target_error for row in rows] == [0.005, 0.01, 0.02, 0.05]
    assert rows[0].threshold is None
    assert rows[0].more_images
    assert rows[2].coverage == pytest.approx(0.97, abs=0.02)
    assert rows[3].coverage >= rows[2].coverage >= rows[1].coverage
    assert [part.label for part in rows[2].by_label] == ["cat", "dog", "owl"]


def test_no_picture_is_judged_by_a_temperature_that_it_chose():
    logits, truth = sure(100, 10)
    before = guarantees.decision_scores(logits, truth)
    logits[-1] *= 100
    after = guarantees.decision_scores(logits, truth)
    assert before[-1] < after[-1]
    assert not np.allclose(before[:-1], after[:-1])
    two, truth = sure(100, 10, classes=2)
    order = np.argsort(two.max(axis=1) - two.min(axis=1), kind="stable")
    assert (np.diff(guarantees.decision_scores(two, truth)[order]) >= 0).all(), "one order, whatever the temperature"


def test_prediction_sets_have_limits_for_each_coverage():
    sets = metrics_of(*sure(400, 12), ["cat", "dog", "owl"]).prediction_sets
    assert [row.coverage for row in sets] == [0.8, 0.9, 0.95, 0.99]
    assert all(a.mean_size <= b.mean_size for a, b in pairwise(sets))
    assert metrics_of(*sure(9, 0), ["cat", "dog", "owl"]).prediction_sets[-1].limit is None


def judged(images, wrong):
    """Pictures, as of `sure`, whose least sure answers are wrong."""
    logits, truth = sure(images, wrong)
    return Judged(truth, logits.argmax(axis=1), guarantees.decision_scores(logits, truth), truth >= 0)


def test_cross_fitted_pictures_count_unless_the_held_out_ones_are_wrong_more_often():
    names = ["cat", "dog", "owl"]
    alone = metrics_of(*sure(120, 1), names)
    more = metrics_of(*sure(120, 1), names, cross_fitted=judged(480, 4))
    assert (alone.selective.images, alone.selective.cross_fitted) == (120, 0)
    assert (more.selective.images, more.selective.cross_fitted) == (600, 480)
    row = more.guarantees[2]
    assert (alone.guarantees[2].threshold, row.images, row.cross_fitted) == (None, 600, 480)
    assert row.decided > 570
    assert more.prediction_sets == alone.prediction_sets, "these are of the served model"
    better = metrics_of(*sure(120, 6), names, cross_fitted=judged(480, 4))
    assert (better.selective.images, better.selective.cross_fitted) == (120, 0)


def test_coverage_is_that_of_new_pictures_some_of_which_will_be_strange():
    logits, truth = sure(100, 1)
    held_out = Judged(truth, logits.argmax(axis=1), guarantees.decision_scores(logits, truth), np.arange(100) >= 10)
    found = guarantees.grounds(held_out, judged(500, 3), ["cat", "dog", "owl"])
    row = overall(found, 0.05)
    assert row.decided == 590
    assert row.coverage == pytest.approx(0.95), "a twentieth of new ones is strange"


@pytest.mark.parametrize(
    ("preset", "epochs", "done", "candidates"),
    [("quick", 40, 12, 1), ("standard", 5, 5, 1), ("standard", 5, 3, 3), ("thorough", 5, 5, 5)],
)
def test_epochs_among_which_the_held_out_pictures_chose_are_paid_for(preset, epochs, done, candidates):
    recipe = SimpleNamespace(preset=preset, epochs=epochs)
    assert candidates_of(SimpleNamespace(recipe=recipe), SimpleNamespace(history=[None] * done)) == candidates
