import numpy as np
import pytest

from training.intervals import wilson
from training.metrics import fit_temperature, folds, losses, measure

NAMES = ["cat", "dog", "owl"]
SURE = {"cat": [0.8, 0.1, 0.1], "dog": [0.1, 0.8, 0.1]}


def rows(*labels):
    return np.array([SURE[label] for label in labels], np.float32)


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def drawn(images=4000, classes=5, seed=1):
    """Logits that are calibrated by construction: each truth is drawn by its probabilities."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(size=(images, classes)) * 2
    truth = (softmax(logits).cumsum(axis=1) < chance.random((images, 1))).sum(axis=1)
    return logits, truth


def test_counts_by_hand():
    truth = np.array([0, 0, 0, 1, 1])
    metrics = measure(truth, rows("cat", "cat", "dog", "dog", "dog"), NAMES)
    assert metrics.confusion == [[2, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert (metrics.accuracy, metrics.images) == (pytest.approx(0.8), 5)
    assert metrics.loss == pytest.approx(-(4 * np.log(0.8) + np.log(0.1)) / 5)
    cat, dog, owl = metrics.per_class
    assert (cat.precision, cat.recall, cat.f1, cat.support) == pytest.approx((1, 2 / 3, 0.8, 3))
    assert (dog.precision, dog.recall, dog.f1, dog.support) == pytest.approx((2 / 3, 1, 0.8, 2))
    assert (owl.precision, owl.recall, owl.f1, owl.support) == (None, None, None, 0), "unknown, and not 0"
    assert [(pair.true_label, pair.predicted_label, pair.images) for pair in metrics.most_confused] == [
        ("cat", "dog", 1)
    ]


def test_what_is_not_known_of_a_label_is_none():
    metrics = measure(np.array([0, 0, 1]), np.eye(3)[[0, 2, 0]], NAMES)
    cat, dog, owl = metrics.per_class
    assert (cat.precision, cat.recall, cat.f1) == (0.5, 0.5, 0.5)
    assert (dog.precision, dog.recall, dog.f1, dog.support) == (None, 0, 0, 1), "none was given it, its one was missed"
    assert (owl.precision, owl.recall, owl.f1, owl.support) == (None, None, None, 0), "whatever was taken for it"


def test_the_interval_is_wilsons():
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson(20, 20)[1] == 1


def test_a_probability_of_nothing_costs_much_and_not_without_end():
    assert np.isfinite(losses(np.array([1]), np.array([[1.0, 0.0]], np.float32))).all()


def test_curves_of_a_ranking_by_hand():
    truth = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])
    cat, dog = measure(truth, probabilities, ["cat", "dog"]).curves
    assert (cat.roc_auc, dog.roc_auc) == pytest.approx((0.75, 0.75)), "three of four pairs are in order"
    assert cat.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert (cat.roc[0], cat.roc[-1]) == ((0, 0), (1, 1))
    assert cat.precision_recall[0] == (0, 1)
    assert cat.precision_recall[-1][0] == 1


def test_a_class_without_images_has_no_curve():
    metrics = measure(np.array([0, 1]), rows("cat", "dog"), NAMES)
    assert metrics.curves[2].roc_auc is None
    assert metrics.curves[2].average_precision is None
    alone = measure(np.array([0, 0]), rows("cat", "dog"), NAMES)
    assert [row.roc_auc for row in alone.curves] == [None, None, None]


def test_curves_are_thinned_and_the_worst_classes_keep_theirs():
    logits, truth = drawn(images=3000, classes=120)
    found = measure(truth, softmax(logits), [str(number) for number in range(120)]).curves
    assert max(len(row.roc) for row in found) <= 50
    assert max(len(row.precision_recall) for row in found) <= 50
    assert all(row.roc_auc is not None for row in found)
    bare = [row.average_precision for row in found if not row.roc]
    assert len(bare) == 20
    assert min(bare) >= max(row.average_precision for row in found if row.roc)


def test_the_temperature_is_found_again():
    logits, truth = drawn()
    assert fit_temperature(logits, truth) == pytest.approx(1, rel=0.1)
    assert fit_temperature(logits * 4, truth) == pytest.approx(4, rel=0.1)
    assert fit_temperature(logits / 3, truth) == pytest.approx(1 / 3, rel=0.1)


def test_a_model_that_is_always_right_gets_a_temperature_all_the_same():
    logits = np.eye(3)[[0, 1, 2, 0]] * 5
    assert 0.1 <= fit_temperature(logits, np.array([0, 1, 2, 0])) < 0.2


def test_calibration_before_and_after():
    logits, truth = drawn()
    sure = (logits * 4).astype(np.float32)
    found = measure(truth, softmax(logits), [str(number) for number in range(5)], sure).calibration
    assert found.temperature == pytest.approx(4, rel=0.1)
    assert found.ece_before > 0.2
    assert found.ece_after < 0.03
    assert sum(one.images for one in found.bins) == len(truth)
    assert all(one.low <= one.confidence <= one.high for one in found.bins)
    assert [one.accuracy for one in found.bins] == sorted(one.accuracy for one in found.bins)


def test_few_images_of_an_honest_model_show_little_error():
    """Bins of equal width would find 0.07 here."""
    chance = np.random.default_rng(0)
    errors = []
    for _ in range(20):
        logits = chance.normal(size=(120, 2)) * 2
        truth = (chance.random(120) < softmax(logits)[:, 1]).astype(int)
        errors.append(measure(truth, softmax(logits), ["a", "b"]).calibration.ece_after)
    assert np.mean(errors) < 0.055


def test_a_model_that_is_always_right_has_few_bins_too():
    truth = np.zeros(100, int)
    found = measure(truth, np.tile([0.9, 0.1], (100, 1)), ["a", "b"]).calibration
    assert found.ece_after == pytest.approx(0.1)
    assert len(found.bins) <= 15


def test_after_is_told_of_images_that_the_temperature_never_saw():
    """On noise, a temperature fitted on all images looks better than it is on others."""
    chance = np.random.default_rng(3)
    logits, truth = chance.normal(size=(12, 2)) * 3, chance.integers(0, 2, 12)
    again = [measure(truth, softmax(logits), ["a", "b"], logits).calibration for _ in range(2)]
    assert again[0] == again[1], "the folds are drawn by a fixed seed"
    fitted = measure(truth, softmax(logits / again[0].temperature), ["a", "b"]).calibration
    assert again[0].ece_after != pytest.approx(fitted.ece_after)


def test_calibration_of_probabilities_alone_is_theirs():
    truth = np.array([0, 0, 0, 0, 1])
    found = measure(truth, rows("cat", "cat", "cat", "dog", "dog"), NAMES).calibration
    assert (found.temperature, found.ece_before) == (1, found.ece_after)
    assert found.ece_after == pytest.approx(0, abs=1e-6)
    (only,) = found.bins
    assert (only.images, only.accuracy, only.confidence) == (5, pytest.approx(0.8), pytest.approx(0.8))


def test_folds_spread_the_classes():
    truth = np.array([0] * 10 + [1] * 5 + [2])
    drawn_folds = folds(truth)
    assert sorted(drawn_folds[truth == 0]) == sorted([0, 1, 2, 3, 4] * 2)
    assert sorted(drawn_folds[truth == 1]) == [0, 1, 2, 3, 4]


def test_the_sweep_trades_coverage_for_accuracy():
    truth = np.array([0, 0, 1])
    probabilities = np.array([[0.97, 0.02, 0.01], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1]])
    points = {point.threshold: point for point in measure(truth, probabilities, NAMES).sweep}
    assert (points[0.0].coverage, points[0.0].accuracy) == (1, pytest.approx(2 / 3))
    assert (points[0.7].coverage, points[0.7].accuracy) == (pytest.approx(2 / 3), 1)
    assert (points[0.8].coverage, points[0.8].accuracy) == (pytest.approx(2 / 3), 1), "a threshold is met by equality"
    assert (points[0.99].coverage, points[0.99].accuracy) == (0, None)


@pytest.mark.parametrize("images", [1, 2, 3])
def test_a_handful_of_images_is_measured_too(images):
    logits = np.array([[1.0, 2.0], [2.0, 0.0], [0.5, 0.1]])[:images]
    metrics = measure(np.array([1, 0, 1])[:images], softmax(logits), ["a", "b"], logits)
    assert metrics.images == images
    assert metrics.calibration.bins
