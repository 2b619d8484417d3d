"""Statistics of what is known: those of earlier packages answer as they did, and damaged ones are refused."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from tsukiji.errors import PackageInvalid
from tsukiji.vision import out_of_distribution

MIDDLE, SIDE = 4, 16


def earlier_package(folder):
    """As trainings wrote it that compared pictures with their nearest neighbours."""
    bank = np.eye(SIDE, dtype=np.float16)[:6]
    save_file({"bank": bank, "held_out": np.array([0.1, 0.15, 0.2], np.float32)}, folder / "known.safetensors")
    return out_of_distribution.load(folder / "known.safetensors", MIDDLE, SIDE - MIDDLE)


def test_an_earlier_package_is_answered_by_the_nearest_neighbours(tmp_path):
    loaded = earlier_package(tmp_path)
    rows = np.zeros((3, SIDE), np.float32)
    rows[0, 0] = 3  # just like one of the bank, and at right angles to the others: the mean of five is 0.2
    rows[1, [0, 1]] = 1
    rows[2, 15] = 1
    np.testing.assert_allclose(loaded.similarities(rows), [0.2, 2 * 0.5**0.5 / 5, 0], atol=1e-6)
    np.testing.assert_allclose(loaded.scores(rows), [5 / 6, 1, 0], atol=1e-6)
    assert loaded.scores(np.empty((0, SIDE), np.float32)).shape == (0,)
    assert loaded.bytes == 6 * SIDE * 4 + 3 * 4


@pytest.mark.parametrize("content", [b"", b"not at all", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "known.safetensors").write_bytes(content)
    with pytest.raises(PackageInvalid, match=r"known\.safetensors"):
        out_of_distribution.load(tmp_path / "known.safetensors", MIDDLE, SIDE - MIDDLE)


def test_a_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(PackageInvalid):
        out_of_distribution.load(tmp_path / "known.safetensors", MIDDLE, SIDE - MIDDLE)


HELD_OUT = {"held_out": np.array([0.1, 0.5], np.float32)}
BANK = {"bank": np.eye(SIDE, dtype=np.float16)}
MEANS = {
    "scales": np.ones((1, SIDE), np.float16),
    "means": np.eye(SIDE, dtype=np.float16)[:2],
    "axes": np.eye(SIDE, dtype=np.float16)[:3] / 2,
}


@pytest.mark.parametrize("good", [BANK, MEANS], ids=["bank", "means"])
def test_statistics_of_another_network_are_refused(tmp_path, good):
    save_file(HELD_OUT | good, tmp_path / "known.safetensors")
    out_of_distribution.load(tmp_path / "known.safetensors", MIDDLE, SIDE - MIDDLE)
    with pytest.raises(PackageInvalid, match="does not fit the network"):
        out_of_distribution.load(tmp_path / "known.safetensors", MIDDLE, SIDE - MIDDLE + 1)


@pytest.mark.parametrize(
    "tensors",
    [
        *(
            good | {name: value}
            for good in (BANK, MEANS)
            for name in good
            for value in (
                np.zeros((0, SIDE), np.float16),
                np.zeros(SIDE, np.float16),
                np.full((1, SIDE), np.nan, np.float16),
                np.full((1, SIDE), np.inf, np.float32),
            )
        ),
        MEANS | {"scales": np.ones((2, SIDE), np.float16)},
        MEANS | BANK,
        MEANS | {"more": np.ones((1, SIDE), np.float16)},
        {name: MEANS[name] for name in ("scales", "means")},
        {},
        *(
            MEANS | {"held_out": value}
            for value in (
                np.zeros(0, np.float32),
                np.array([0.5, 0.1], np.float32),
                np.array([0.1, np.inf], np.float32),
                np.zeros((2, 2), np.float32),
            )
        ),
    ],
)
def test_values_that_cannot_be_are_refused(tmp_path, tensors):
    save_file(HELD_OUT | tensors, tmp_path / "known.safetensors")
    with pytest.raises(PackageInvalid, match=r"known\.safetensors"):
        out_of_distribution.load(tmp_path / "known.safetensors", MIDDLE, SIDE - MIDDLE)


def test_distances_are_those_of_the_definition():
    random = np.random.default_rng(0)
    middle, width, classes, rank = 5, 12, 3, 4
    scales, means = random.uniform(0.5, 2, (1, width)), random.normal(size=(classes, width))
    axes = random.normal(size=(rank, width)) / width
    vectors = random.gamma(2, size=(7, width)).astype(np.float32)
    statistics = (each.astype(np.float32) for each in (scales, means, axes))
    known = out_of_distribution.Means(np.zeros(1, np.float32), middle, *statistics)
    parts = (vectors[:, :middle], vectors[:, middle:])
    unit = np.concatenate([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts], axis=1) * scales
    apart = unit[:, None] - means
    expected = (apart**2).sum(-1) - ((apart @ axes.T) ** 2).sum(-1)
    assert np.allclose(known.distances(vectors), expected, rtol=1e-4, atol=1e-4)
