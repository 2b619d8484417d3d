import numpy as np

from tsukiji.curation.analysis import neighbours


def test_the_nearest_come_first_and_nobody_is_its_own(monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 2)
    angles = np.array([0, 10, 25, 45, 70, 180]) * np.pi / 180
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = neighbours.nearest(vectors, np.array([0, 3, 5]), 3)
    assert found.tolist() == [[1, 2, 3], [2, 4, 1], [4, 3, 2]]
    assert neighbours.nearest(vectors, np.array([0]), 10).shape == (1, 5)
    assert neighbours.nearest(vectors[:1], np.array([0]), 6).shape == (1, 0)
