"""Rates of "none of these": measured on images that the threshold was not fitted on."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training import out_of_distribution
from tsukiji.types.batches import MIN_KNOWN

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
NAMES = ["eel", "squid", "tuna"]
MIDDLE = 8
"""So many of the twenty features are of earlier maps."""


def cloud(images: int, centre: int, seed: int, spread: float = 0.3) -> Floats:
    """Points around one axis of twenty."""
    random = np.random.default_rng(seed)
    rows = random.normal(0, spread, (images, 20))
    rows[:, centre] += 2
    return rows.astype(np.float32)


def kinds(images: int, seed: int) -> tuple[Floats, Ints]:
    rows = np.concatenate([cloud(images, number, seed + number) for number in range(3)])
    return rows, np.repeat(np.arange(3), images)


@pytest.fixture(scope="module")
def measured() -> out_of_distribution.UnknownMetrics:
    (learnt, learnt_classes), (held_out, held_out_classes) = kinds(200, 0), kinds(200, 10)
    unknown = np.concatenate([cloud(60, 15, 20), held_out[:40]])
    return out_of_distribution.measure(learnt, learnt_classes, held_out, held_out_classes, NAMES, MIDDLE, unknown)[1]


def test_about_as_many_known_images_are_turned_away_as_the_threshold_says(
    measured: out_of_distribution.UnknownMetrics,
) -> None:
    assert measured.min_known == MIN_KNOWN
    assert measured.false_rejections == pytest.approx(MIN_KNOWN, abs=0.02)


def test_a_class_that_was_never_learnt_is_told_from_the_others(measured: out_of_distribution.UnknownMetrics) -> None:
    assert [(row.label, row.images) for row in measured.left_out] == [(name, 200) for name in NAMES]
    assert all(row.auroc > 0.95 for row in measured.left_out)
    assert measured.false_acceptances == pytest.approx(np.mean([row.false_acceptances for row in measured.left_out]))
    assert measured.false_acceptances is not None
    assert measured.false_acceptances < 0.2


def test_things_that_the_user_gave_are_counted(measured: out_of_distribution.UnknownMetrics) -> None:
    assert measured.given is not None
    assert measured.given.images == 100
    assert measured.given.false_acceptances == pytest.approx(0.4, abs=0.05)  # 40 of them are of known kinds
    assert measured.given.auroc == pytest.approx(0.6 + 0.4 / 2, abs=0.05)


def test_kinds_that_look_alike_pass_for_each_other() -> None:
    learnt, held_out = cloud(300, 0, 1), cloud(300, 0, 2)
    classes = np.arange(300) % 3
    _, found = out_of_distribution.measure(learnt, classes, held_out, classes, NAMES, MIDDLE)
    assert found.false_acceptances is not None
    assert found.false_acceptances > 0.85
    assert all(row.auroc == pytest.approx(0.5, abs=0.1) for row in found.left_out)
    assert found.given is None


def test_a_class_without_held_out_images_is_passed_over() -> None:
    (learnt, learnt_classes), (held_out, held_out_classes) = kinds(30, 0), kinds(30, 10)
    some = held_out_classes != 1
    _, found = out_of_distribution.measure(
        learnt, learnt_classes, held_out[some], held_out_classes[some], NAMES, MIDDLE
    )
    assert [row.label for row in found.left_out] == ["eel", "tuna"]


def test_one_held_out_image_is_enough_to_measure() -> None:
    learnt, learnt_classes = kinds(3, 0)
    known, found = out_of_distribution.measure(learnt, learnt_classes, learnt[:1], learnt_classes[:1], NAMES, MIDDLE)
    assert (found.left_out, found.false_acceptances) == ([], None)
    assert 0 <= found.false_rejections <= 1
    assert np.isfinite(known.scores(learnt)).all()


def test_a_class_that_alone_was_learnt_is_not_left_out() -> None:
    (learnt, classes), (held_out, held_out_classes) = kinds(30, 0), kinds(30, 10)
    only = classes == 1
    _, found = out_of_distribution.measure(learnt[only], classes[only], held_out, held_out_classes, NAMES, MIDDLE)
    assert [row.label for row in found.left_out] == ["eel", "tuna"]


def test_auroc_is_how_often_a_known_image_ranks_higher() -> None:
    assert out_of_distribution.auroc(np.array([3, 4], np.float32), np.array([1, 2], np.float32)) == 1
    assert out_of_distribution.auroc(np.array([1, 3], np.float32), np.array([2], np.float32)) == 0.5
