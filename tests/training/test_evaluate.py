import numpy as np
import pytest

from training.evaluate import measure


def test_measure_counts_by_hand() -> None:
    truth, taken_for = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1])
    losses = np.array([0.1, 0.2, 1.5, 0.1, 0.1], np.float32)
    metrics = measure(truth, taken_for, losses, ["cat", "dog", "owl"])
    assert metrics.confusion == [[2, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert (metrics.accuracy, metrics.images) == (pytest.approx(0.8), 5)
    assert metrics.loss == pytest.approx(0.4)
    cat, dog, owl = metrics.per_class
    assert (cat.precision, cat.recall, cat.f1, cat.support) == pytest.approx((1, 2 / 3, 0.8, 3))
    assert (dog.precision, dog.recall, dog.f1, dog.support) == pytest.approx((2 / 3, 1, 0.8, 2))
    assert (owl.precision, owl.recall, owl.f1, owl.support) == (0, 0, 0, 0)
