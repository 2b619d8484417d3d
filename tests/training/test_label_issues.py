"""Labels that may be wrong: the closed form is that of a classifier of all others, and it finds what was flipped."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.label_issues import STRENGTHS, is_doubted, leave_one_out, leave_one_out_sets, rank, rank_sets

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]


def clouds(images: int, dimensions: int, classes: int, distance: float, seed: int = 0) -> tuple[Floats, Ints]:
    """Points around a centre for each class, so far from the origin."""
    random = np.random.default_rng(seed)
    truth = np.arange(images) % classes
    centres = random.normal(0, 1, (classes, dimensions))
    centres *= distance / np.linalg.norm(centres, axis=1, keepdims=True)
    return (centres[truth] + random.normal(0, 1, (images, dimensions))).astype(np.float32), truth


def by_force(features: Floats, classes: Ints, count: int) -> Floats:
    """Each image's scores by a ridge regression that is fitted without it, at the strength that errs least."""
    rows = features.astype(np.float64)
    rows = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-6)
    wanted = np.eye(count)[classes]
    found = []
    for strength in STRENGTHS:
        scores = np.empty_like(wanted)
        for out in range(len(rows)):
            rest = np.arange(len(rows)) != out
            middle, shares = rows[rest].mean(axis=0), wanted[rest].mean(axis=0)  # of the others alone
            others = rows[rest] - middle
            matrix = others.T @ others + strength * len(rows) * np.eye(rows.shape[1])
            slopes = np.linalg.solve(matrix, others.T @ (wanted[rest] - shares))
            scores[out] = shares + (rows[out] - middle) @ slopes
        found.append(scores)
    return min(found, key=lambda scores: float(((scores - wanted) ** 2).mean()))


@pytest.mark.parametrize(("images", "dimensions"), [(40, 12), (30, 60)])
def test_closed_form_is_leaving_each_image_out(images: int, dimensions: int) -> None:
    features, classes = clouds(images, dimensions, 3, distance=2.5)
    np.testing.assert_allclose(
        leave_one_out(features, classes, 3), by_force(features, classes, 3), rtol=1e-3, atol=1e-3
    )


def test_planted_flips_come_first() -> None:
    features, truth = clouds(400, 64, 4, distance=5.0)
    flipped = np.random.default_rng(1).choice(400, 40, replace=False)
    labels = truth.copy()
    labels[flipped] = (truth[flipped] + 1) % 4
    ranked = rank(leave_one_out(features, labels, 4), labels)
    first = ranked[:40]
    assert len(set(flipped) & {image for image, _, _ in first}) >= 36
    rightly = [suggested == truth[image] for image, suggested, _ in first if image in flipped]
    assert np.mean(rightly) > 0.9
    assert all(0 <= score <= 1 for _, _, score in ranked)


def doubted(features: Floats, labels: Ints, count: int) -> list[int]:
    ranked = rank(leave_one_out(features, labels, count), labels)
    assert [score for _, _, score in ranked] == sorted(score for _, _, score in ranked)
    return [image for image, _, score in ranked if is_doubted(score)]


def test_what_its_own_class_claims_is_not_listed() -> None:
    features, labels = clouds(400, 64, 4, distance=3.0)
    scores = leave_one_out(features, labels, 4)
    listed = {image for image, _, _ in rank(scores, labels)}
    assert listed == set(np.flatnonzero(scores.argmax(axis=1) != labels))


def test_a_weak_classifier_suspects_few_and_about_as_many_as_are_wrong() -> None:
    """It says another label of one image in four; one in twenty has a wrong one, or none has."""
    features, truth = clouds(1000, 24, 2, distance=0.55)
    scores = leave_one_out(features, truth, 2)
    assert np.mean(scores.argmax(axis=1) != truth) > 0.2
    assert len(doubted(features, truth, 2)) < 60
    labels, flipped = truth.copy(), np.random.default_rng(2).choice(1000, 50, replace=False)
    labels[flipped] = 1 - truth[flipped]
    listed = doubted(features, labels, 2)
    assert len(listed) < 100
    assert np.isin(listed, flipped).mean() > 4 * 0.05, "far more often right than chance"


@pytest.mark.parametrize("wrong", [0.02, 0.1, 0.2])
def test_as_many_are_suspected_as_are_wrong_where_classes_can_be_told(wrong: float) -> None:
    features, truth = clouds(600, 48, 3, distance=6.0)
    labels, flipped = truth.copy(), np.random.default_rng(3).choice(600, int(600 * wrong), replace=False)
    labels[flipped] = (truth[flipped] + 1) % 3
    listed = doubted(features, labels, 3)
    assert len(listed) == pytest.approx(len(flipped), abs=10)
    assert np.isin(flipped, listed).mean() > 0.9


def test_labels_without_a_doubt_give_an_empty_list() -> None:
    features, truth = clouds(60, 16, 3, distance=12.0)
    assert rank(leave_one_out(features, truth, 3), truth) == []


def test_the_smallest_data_set_has_scores() -> None:
    features, truth = clouds(4, 512, 2, distance=3.0)
    scores = leave_one_out(features, truth, 2)
    assert scores.shape == (4, 2)
    assert np.isfinite(scores).all()


def test_features_that_do_not_vary_have_scores() -> None:
    scores = leave_one_out(np.ones((6, 8), np.float32), np.array([0, 1, 0, 1, 0, 1]), 2)
    assert np.isfinite(scores).all()


def test_planted_flips_of_single_labels_come_first_with_the_set_that_is_right() -> None:
    """Images of any of four things at once; of some, one label is left out or added."""
    random = np.random.default_rng(0)
    truth = random.random((400, 4)) < 0.4
    centres = random.normal(0, 1, (4, 64))
    features = (truth @ centres + random.normal(0, 0.7, (400, 64))).astype(np.float32)
    flipped, labels = random.choice(400, 40, replace=False), truth.copy()
    labels[flipped, flipped % 4] ^= True
    ranked = rank_sets(leave_one_out_sets(features, labels), labels)
    first = ranked[:40]
    found = [(image, suggested) for image, suggested, _ in first if image in flipped]
    assert len(found) >= 32
    assert np.mean([(suggested == truth[image]).all() for image, suggested in found]) > 0.8
    assert all(0 <= score <= 1 for _, _, score in ranked)


def test_a_label_that_all_images_have_is_suspected_of_nothing() -> None:
    features, classes = clouds(60, 16, 2, distance=8.0)
    sets = np.column_stack([np.ones(60, bool), classes == 1])
    assert all(suggested[0] for _, suggested, _ in rank_sets(leave_one_out_sets(features, sets), sets))
