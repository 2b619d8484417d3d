"""The linear classifier: against scikit-learn's, and where there is little or nothing to learn."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from training.probe import PENALTIES, Linear, Problem, fit

Floats = NDArray[np.floating]


def blobs(images: int, classes: int, width: int, apart: float = 1.0, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    """Features of several scales around a centre for each class."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, apart, (classes, width))
    numbers = np.arange(images) % classes
    return (centres[numbers] + random.normal(size=(images, width))) * np.linspace(0.01, 9, width) + 3, numbers


def one_hot(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.eye(numbers.max() + 1, dtype=bool)[numbers]


@pytest.mark.parametrize("width", [5, 200], ids=["fewer features than images", "more"])
def test_it_is_the_logistic_regression_of_standardised_features(width: int) -> None:
    features, numbers = blobs(90, 3, width, 0.5)
    found, penalty = fit(Problem(features, one_hot(numbers), exclusive=True), 200)
    rows = (features - features.mean(axis=0)) / features.std(axis=0)
    expected = LogisticRegression(C=1 / (penalty * len(rows)), tol=1e-8, max_iter=1000).fit(rows, numbers)
    ours, theirs = (
        logits - logits.mean(axis=1, keepdims=True)
        for logits in (found.logits(features), expected.decision_function(rows))
    )
    np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_labels_on_their_own_are_learnt_each_by_itself() -> None:
    features, numbers = blobs(120, 4, 20)
    sets = np.stack([numbers % 2 == 0, numbers >= 2], axis=1)
    found, _ = fit(Problem(features, sets, exclusive=False), 50)
    assert (((found.logits(features) > 0) == sets).mean(axis=0) > 0.95).all()


def test_a_weighed_class_is_named_more_often() -> None:
    features, numbers = blobs(300, 3, 10, 0.2)
    rare = np.concatenate([np.flatnonzero(numbers != 2), np.flatnonzero(numbers == 2)[:10]])
    problem = Problem(features[rare], one_hot(numbers[rare]), exclusive=True)
    weighed = Problem(problem.features, problem.sets, True, np.array([0.5, 0.5, 5]))
    plain, balanced = (fit(each, 50)[0].logits(features).argmax(axis=1) for each in (problem, weighed))
    assert (balanced == 2).sum() > (plain == 2).sum()


def test_noise_is_penalised_most() -> None:
    features, numbers = blobs(100, 2, 50, apart=0)
    assert fit(Problem(features, one_hot(numbers), exclusive=True), 20)[1] == PENALTIES[0]


@pytest.mark.parametrize("images", [1, 2, 9])
def test_very_few_images_and_features_that_never_change_give_finite_answers(images: int) -> None:
    features, numbers = blobs(images, min(images, 2), 6)
    features[:, 2] = 7.5
    found, _ = fit(Problem(features, one_hot(numbers), exclusive=True), 20)
    assert np.isfinite(found.logits(features)).all()
    assert not found.weights[2].any()


def test_each_iteration_is_shown_and_can_be_the_last() -> None:
    features, numbers = blobs(60, 3, 8)
    seen: list[Linear] = []

    def step(linear: Linear) -> bool:
        seen.append(linear)
        return len(seen) < 3

    found, _ = fit(Problem(features, one_hot(numbers), exclusive=True), 20, step)
    assert len(seen) == 3
    np.testing.assert_allclose(found.weights, seen[-1].weights)
