"""The plane of a data set: what is alike is near, and the same rows give the same plane."""

import numpy as np
import pytest

from tsukiji.vision.plane import principal_plane


def test_kinds_of_pictures_are_apart():
    random = np.random.default_rng(0)
    rows = (random.normal(0, 0.1, (90, 16)) + np.repeat(np.eye(16)[:3], 30, axis=0)).astype(np.float32)
    positions, explained = principal_plane(rows)
    middles = positions.reshape(3, 30, 2).mean(axis=1)
    spread = positions.reshape(3, 30, 2).std(axis=1).max()
    apart = [np.linalg.norm(middles[a] - middles[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert min(apart) > 3 * spread
    assert np.abs(positions).max() == pytest.approx(1)
    assert explained[0] >= explained[1] > 0.2
    assert sum(explained) <= 1
    shuffled = random.permutation(90)
    np.testing.assert_allclose(principal_plane(rows[shuffled])[0], positions[shuffled], atol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures_have_a_plane_too(count):
    positions, explained = principal_plane(np.ones((count, 8), np.float32))
    assert positions.shape == (count, 2)
    assert np.isfinite(positions).all()
    assert explained == (0, 0)
