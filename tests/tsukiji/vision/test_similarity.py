"""Exact search: the same as one product over all rows, also over several blocks."""

import numpy as np
import pytest

from tsukiji.ids import before, new_id
from tsukiji.vision import similarity
from tsukiji.vision.similarity import VectorIndex


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(similarity, "BLOCK", 64)


def rows(count, seed=0):
    found = np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_the_nearest_of_all_blocks_are_found_in_order():
    known, index = rows(200), VectorIndex(16)
    for start, stop in ((0, 1), (1, 130), (130, 200)):
        index.add([str(number) for number in range(start, stop)], known[start:stop])
    (wanted,) = rows(1, 1)
    cosines = known @ wanted
    found = index.search(wanted, 10)
    assert [int(name) for name, _ in found] == np.argsort(-cosines)[:10].tolist()
    assert [cosine for _, cosine in found] == pytest.approx(np.sort(cosines)[::-1][:10], abs=1e-6)
    assert len(index.search(wanted, 1000)) == len(index) == 200
    assert index.bytes == 4 * 64 * 16 * 4


def test_an_empty_index_finds_nothing():
    index = VectorIndex(16)
    assert index.search(rows(1)[0], 3) == []
    assert index.known_score(0.5) is None


def test_the_known_score_is_the_fraction_of_rows_with_a_less_similar_neighbour():
    known, index = rows(150), VectorIndex(16)
    index.add([str(number) for number in range(150)], known)
    cosines = known @ known.T
    np.fill_diagonal(cosines, -1)
    usual = np.sort(cosines.max(axis=1))
    assert (index.known_score(usual[0] - 0.01), index.known_score(1.0)) == (0, 1)
    assert index.known_score(float(usual[75]) - 1e-4) == pytest.approx(0.5, abs=0.02)
    index.add([f"copy {number}" for number in range(150)], known)
    assert index.known_score(0.99) == 0, "all have a copy now"


def test_what_comes_before_an_id():
    made = new_id("img")
    assert before(made, 0) <= made
    assert before(made, 60) < before(made, 59.9) < made
    assert len(before(made, 60)) == len(made)
