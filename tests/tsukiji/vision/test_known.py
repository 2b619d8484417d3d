"""Known scores: a threshold t turns away about t of what is known; damaged statistics are refused."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from tsukiji.errors import PackageInvalid
from tsukiji.vision import known

SIDE = 16


def cloud(images, seed, axis=0, spread=0.3):
    rows = np.random.default_rng(seed).normal(0, spread, (images, SIDE))
    rows[:, axis] += 2
    return rows.astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    return known.fit(cloud(400, 1), cloud(400, 2))


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.5])
def test_a_threshold_turns_away_that_part_of_known_images(fitted, threshold):
    scores = fitted.scores(cloud(2000, 3))
    assert (scores < threshold).mean() == pytest.approx(threshold, abs=0.05)


def test_scores_lie_in_0_to_1_and_other_things_get_the_lowest(fitted):
    scores = np.concatenate([fitted.scores(cloud(50, 4)), fitted.scores(cloud(50, 5, axis=9))])
    assert scores.dtype == np.float32
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert (scores[50:] < 0.01).all()
    assert fitted.scores(np.empty((0, SIDE), np.float32)).shape == (0,)


def test_length_does_not_matter_and_nothing_is_like_nothing(fitted):
    rows = cloud(5, 6)
    np.testing.assert_allclose(fitted.scores(rows * 100), fitted.scores(rows), atol=1e-4)
    assert np.isfinite(fitted.scores(np.zeros((1, SIDE), np.float32))).all()


def test_many_images_are_thinned_out(monkeypatch):
    monkeypatch.setattr(known, "BANK_IMAGES", 100)
    monkeypatch.setattr(known, "SCORES", 101)
    fitted = known.fit(cloud(1050, 1), cloud(500, 2))
    assert len(fitted.bank) <= 100
    assert len(fitted.held_out) == 101
    assert (fitted.scores(cloud(1000, 3)) < 0.1).mean() == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize(("learnt", "held_out"), [(1, 1), (2, 1), (1, 5)])
def test_few_images_are_enough(learnt, held_out):
    scores = known.fit(cloud(learnt, 1), cloud(held_out, 2)).scores(cloud(4, 3))
    assert np.isfinite(scores).all()


def test_saved_statistics_score_as_before(fitted, tmp_path):
    known.save(fitted, tmp_path / "known.safetensors")
    loaded = known.load(tmp_path / "known.safetensors", SIDE)
    rows = cloud(100, 7)
    assert np.array_equal(loaded.scores(rows), fitted.scores(rows))


@pytest.mark.parametrize("content", [b"", b"not at all", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "known.safetensors").write_bytes(content)
    with pytest.raises(PackageInvalid, match=r"known\.safetensors"):
        known.load(tmp_path / "known.safetensors", SIDE)


def test_a_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(PackageInvalid):
        known.load(tmp_path / "known.safetensors", SIDE)


def test_statistics_of_another_network_are_refused(fitted, tmp_path):
    known.save(fitted, tmp_path / "known.safetensors")
    with pytest.raises(PackageInvalid, match="does not fit the network"):
        known.load(tmp_path / "known.safetensors", SIDE + 1)


GOOD = {"bank": np.eye(SIDE, dtype=np.float16), "held_out": np.array([0.1, 0.5], np.float32)}


@pytest.mark.parametrize(
    "tensors",
    [
        {"bank": np.zeros((0, SIDE), np.float16)},
        {"bank": np.zeros(SIDE, np.float16)},
        {"bank": np.full((2, SIDE), np.nan, np.float16)},
        {"held_out": np.zeros(0, np.float32)},
        {"held_out": np.array([0.5, 0.1], np.float32)},
        {"held_out": np.array([0.1, np.inf], np.float32)},
        {"held_out": np.zeros((2, 2), np.float32)},
    ],
)
def test_values_that_cannot_be_are_refused(tmp_path, tensors):
    save_file(GOOD | tensors, tmp_path / "known.safetensors")
    with pytest.raises(PackageInvalid):
        known.load(tmp_path / "known.safetensors", SIDE)
