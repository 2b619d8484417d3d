import numpy as np
import pytest

from tsukiji.guarantee.conformal import chance, limit, members, places


def drawn(random, images):
    logits = random.normal(size=(images, 6)) * 2
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return shares, (shares.cumsum(axis=1) < random.random((images, 1))).sum(axis=1)


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_sets_have_the_true_label_as_often_as_asked_for(coverage):
    random, found = np.random.default_rng(6), []
    for _ in range(100):
        shares, truth = drawn(random, 300)
        of_true = places(shares**3 / (shares**3).sum(axis=1, keepdims=True), random.random(300))[np.arange(300), truth]
        shares, truth = drawn(random, 300)
        overconfident = shares**3 / (shares**3).sum(axis=1, keepdims=True)
        sets = members(places(overconfident, random.random(300)), limit(of_true, coverage))
        found.append(sets[np.arange(300), truth].mean())
    assert np.mean(found) == pytest.approx(coverage, abs=0.01)


def test_labels_join_from_the_likeliest_on():
    found = places(np.array([[0.2, 0.7, 0.1]]), np.array([0.5]))
    assert found.tolist() == [pytest.approx([0.8, 0.35, 0.95])]
    assert members(found, 0.85).tolist() == [[True, True, False]]


def test_with_too_few_pictures_all_labels_are_in():
    assert limit(np.array([0.2, 0.4]), 0.9) is None
    assert members(np.ones((1, 3)), None).all()


def test_a_picture_has_one_chance():
    chances = [chance(f"{number:064x}") for number in range(200)]
    assert chance("0" * 64) == chance("0" * 64)
    assert len(set(chances)) == 200
    assert 0 <= min(chances) < 0.05 < 0.95 < max(chances) < 1
