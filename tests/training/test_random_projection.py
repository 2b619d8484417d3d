"""Embeddings in a few numbers: alike stay alike, and the numbers stay what they were."""

import numpy as np
import pytest

from training.random_projection import DIMENSIONS, compact, projection


def test_angles_stay_nearly_what_they_were() -> None:
    random = np.random.default_rng(0)
    kinds = random.normal(0, 1, (2, 1280))
    rows = (np.repeat(kinds, 10, axis=0) + random.normal(0, 0.3, (20, 1280))).astype(np.float32)
    small = compact(rows, 256)
    assert small.shape == (20, DIMENSIONS)
    assert np.linalg.norm(small, axis=1) == pytest.approx(1, abs=1e-5)
    products = small @ small.T
    assert products[:10, :10].min() > 0.8
    assert np.abs(products[:10, 10:]).max() < 0.3


def test_large_values_of_one_part_do_not_drown_the_others() -> None:
    rows = np.random.default_rng(0).normal(0, 1, (2, 1280)).astype(np.float32)
    louder = rows.copy()
    louder[:, 256:768] *= 100
    assert compact(louder, 256) == pytest.approx(compact(rows, 256), abs=1e-5)


def test_the_projection_is_the_same_for_ever() -> None:
    assert projection(1280)[0, :3].tolist() == pytest.approx([1.7640523, 0.4001572, 0.9787380])
