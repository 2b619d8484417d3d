"""Heads that have not seen the pictures they judge, and are taught no more than the served one."""

from dataclasses import replace

import numpy as np
import pytest

from training.cross_fitting import Labelled, Probe, cross_fit

WIDTH = 60


def draw(random, images, first, labels=2):
    """Pictures whose likeliest label is wrong in some per cent."""
    classes = np.arange(images) % labels
    rows = random.standard_normal((images, WIDTH)) + 2 * np.eye(WIDTH)[classes]
    return Labelled(rows.astype(np.float32), classes, np.arange(first, first + images))


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture
def probe():
    return Probe(labels=2, middle=0, penalty=0.1, iterations=30)


class Watched(Probe):
    """Keeps which pictures were learnt from, and which were judged."""

    def judge(self, pictures, learnt, *rest):
        seen.append((set(pictures.units.tolist()), learnt.units.tolist()))
        return super().judge(pictures, learnt, *rest)


seen: list[tuple[set[int], list[int]]] = []


@pytest.fixture
def watched(probe):
    seen.clear()
    return Watched(**vars(probe))


def test_no_picture_is_judged_by_a_head_that_has_seen_it(random, watched):
    found = cross_fit(draw(random, 80, 0), draw(random, 20, 80), watched, 1.0)
    assert len(found.truth) == 80
    assert len(seen) == 4
    assert set.union(*(mine for mine, _ in seen)) == set(range(80))
    assert all(mine.isdisjoint(learnt) for mine, learnt in seen)
    assert all(set(range(80, 100)) <= set(learnt) for _, learnt in seen)


@pytest.mark.parametrize(
    ("learnt", "held_out", "heads", "least"),
    [(80, 20, 4, 80), (60, 200, 1, 60), (100, 50, 2, 100), (100, 80, 2, 100), (400, 10, 4, 310)],
)
def test_heads_learn_from_as_many_pictures_as_the_served_one_and_never_from_more(
    random, watched, learnt, held_out, heads, least
):
    assert len(cross_fit(draw(random, learnt, 0), draw(random, held_out, learnt), watched, 1.0).truth) == learnt
    assert len(seen) == heads
    assert all(least <= len(others) <= learnt for _, others in seen)


def test_pictures_that_belong_together_are_judged_together(random, watched):
    learnt = draw(random, 80, 0)
    cross_fit(replace(learnt, units=learnt.units // 5), draw(random, 20, 100), watched, 1.0)
    assert sum(len(mine) for mine, _ in seen) == 16


def test_those_of_a_held_out_picture_are_not_judged(random, watched):
    held_out = draw(random, 20, 80)
    held_out.units[:5] = range(5)
    assert len(cross_fit(draw(random, 80, 0), held_out, watched, 1.0).truth) == 75
    held_out.units[:] = 0
    learnt = draw(random, 80, 0)
    assert cross_fit(replace(learnt, units=np.zeros_like(learnt.units)), held_out, watched, 1.0) is None


def test_errors_are_as_frequent_as_on_fresh_pictures_and_not_as_on_those_learnt_from(random, probe):
    learnt, held_out, fresh = draw(random, 160, 0), draw(random, 40, 160), draw(random, 20_000, 200)
    weak = replace(probe, penalty=1e-6)  # knows what it has learnt from by heart
    found = cross_fit(learnt, held_out, weak, 1.0)
    wrong = float((found.taken_for != found.truth).mean())
    served = weak.judge(fresh, learnt, 1.0)
    own = weak.judge(learnt, learnt, 1.0)
    assert float((own.taken_for != own.truth).mean()) < 0.02
    assert wrong == pytest.approx(float((served.taken_for != served.truth).mean()), abs=0.06)
    assert wrong > 0.05
    assert found.scores.min() >= 0.5
    assert found.known.all(), "of 40 held-out pictures no limit follows"
    more = cross_fit(learnt, draw(random, 300, 160), weak, 1.0)
    assert 0.9 < more.known.mean() < 1
