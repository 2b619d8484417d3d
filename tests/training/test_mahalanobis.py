"""What a training keeps for "none of these": a threshold t turns away about t of what is known."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training import mahalanobis
from training.mahalanobis import axes_of, fit
from tsukiji.vision import out_of_distribution
from tsukiji.vision.out_of_distribution import Means

Floats = NDArray[np.float32]

MIDDLE, SIDE = 4, 16


def cloud(images: int, seed: int, axis: int = 0, spread: float = 0.3) -> Floats:
    rows = np.random.default_rng(seed).normal(0, spread, (images, SIDE))
    rows[:, [axis, 8 + axis // 2]] += 2
    return rows.astype(np.float32)


def fitted_on(learnt: Floats, held_out: Floats) -> Means:
    return fit(learnt, np.zeros(len(learnt), np.int64), held_out, MIDDLE)


@pytest.fixture(scope="module")
def fitted() -> Means:
    return fitted_on(cloud(400, 1), cloud(400, 2))


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.5])
def test_a_threshold_turns_away_that_part_of_known_images(fitted: Means, threshold: float) -> None:
    scores = fitted.scores(cloud(2000, 3))
    assert (scores < threshold).mean() == pytest.approx(threshold, abs=0.05)


def test_scores_lie_in_0_to_1_and_other_things_get_the_lowest(fitted: Means) -> None:
    scores = np.concatenate([fitted.scores(cloud(50, 4)), fitted.scores(cloud(50, 5, axis=3))])
    assert scores.dtype == np.float32
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert (scores[50:] < 0.01).all()
    assert fitted.scores(np.empty((0, SIDE), np.float32)).shape == (0,)


def test_the_length_of_either_part_does_not_matter_and_nothing_is_like_nothing(fitted: Means) -> None:
    rows = cloud(5, 6)
    longer = rows * np.repeat(np.float32([100, 0.01]), [MIDDLE, SIDE - MIDDLE])
    np.testing.assert_allclose(fitted.scores(longer), fitted.scores(rows), atol=1e-4)
    assert np.isfinite(fitted.scores(np.zeros((1, SIDE), np.float32))).all()


def test_what_varies_much_among_known_images_counts_little() -> None:
    """Two directions away from the mean: one in which the known images differ from each other, and one in which not."""
    random = np.random.default_rng(0)
    learnt = cloud(300, 1, spread=0.05)
    learnt[:, 12] += random.normal(0, 1, 300)
    fitted = fitted_on(learnt[:200], learnt[200:])
    usual, strange = cloud(1, 2, spread=0), cloud(1, 2, spread=0)
    usual[:, 12] += 1
    strange[:, 13] += 1
    assert fitted.similarities(usual) > fitted.similarities(strange)


def test_distances_are_those_of_the_shrunk_covariance() -> None:
    spread = np.random.default_rng(0).normal(0, np.linspace(0.1, 1, SIDE), (50, SIDE))
    axes = axes_of(spread)
    inverse = np.eye(SIDE) - axes.T @ axes
    covariance = spread.T @ spread / len(spread)
    # What Ledoit and Wolf's (1 - s) S + s v I has as its inverse has the eigenvectors of S, and less contrast.
    product = inverse @ covariance
    np.testing.assert_allclose(product, product.T, atol=1e-9)
    values = 1 / np.linalg.eigvalsh(inverse)
    contrast = np.linalg.eigvalsh(covariance)
    assert 1 < values.max() / values.min() < contrast.max() / contrast.min()


def test_many_images_are_thinned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mahalanobis, "SCORES", 101)
    fitted = fit(cloud(1050, 1), np.zeros(1050, np.int64), cloud(500, 2), MIDDLE, axes=100)
    assert len(fitted.axes) == 100
    assert len(fitted.held_out) == 101
    assert (fitted.scores(cloud(1000, 3)) < 0.1).mean() == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize(("learnt", "held_out"), [(1, 1), (2, 1), (1, 5), (3, 3)])
def test_few_images_are_enough(learnt: int, held_out: int) -> None:
    scores = fitted_on(cloud(learnt, 1), cloud(held_out, 2)).scores(cloud(4, 3))
    assert np.isfinite(scores).all()


def test_images_that_are_all_alike_are_enough() -> None:
    same = np.repeat(cloud(1, 1), 8, axis=0)
    scores = fitted_on(same, same).scores(np.concatenate([same, cloud(4, 3, axis=3)]))
    assert np.isfinite(scores).all()


def test_saved_statistics_score_as_before(fitted: Means, tmp_path: Path) -> None:
    out_of_distribution.save(fitted, tmp_path / "known.safetensors")
    loaded = out_of_distribution.load(tmp_path / "known.safetensors", MIDDLE, SIDE - MIDDLE)
    rows = cloud(100, 7)
    assert np.array_equal(loaded.scores(rows), fitted.scores(rows))
