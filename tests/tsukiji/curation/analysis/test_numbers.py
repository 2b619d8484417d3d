"""Issues, outliers and what to label next, from numbers alone."""

import numpy as np
import pytest

from tsukiji.curation.analysis.issues import LIMITS, find_issues
from tsukiji.curation.analysis.outliers import find_outliers
from tsukiji.curation.analysis.selection import CHOSEN, choose, spread

FINE = dict.fromkeys(LIMITS, 0.9)


def measures(*rows):
    return {kind: np.array([(FINE | row)[kind] for row in rows]) for kind in LIMITS}


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("kind", LIMITS)
def test_a_measure_below_its_limit_is_an_issue(kind):
    found = list(find_issues(measures({}, {kind: 0.001}), [(100, 100)] * 2))
    assert found == [(1, kind, 0.001)]


def test_a_long_picture_is_odd():
    assert list(find_issues(measures({}, {}), [(100, 34), (100, 36)])) == [(0, "odd_aspect_ratio", 0.34)]


def test_sizes_are_odd_beside_the_others():
    sizes = [*((100 + number, 100) for number in range(30)), (2000, 2000), (5, 5), (90, 90)]
    found = {image: score for image, _, score in find_issues(measures(*[{}] * 33), sizes)}
    assert found.keys() == {30, 31}
    assert all(0 < score < 0.5 for score in found.values())


def test_few_images_have_no_usual_size():
    assert list(find_issues(measures({}, {}), [(10, 10), (5000, 5000)])) == []


def test_no_images_have_no_issues():
    assert list(find_issues({kind: np.empty(0) for kind in LIMITS}, [])) == []


@pytest.mark.parametrize("count", [60, 5000])
def test_what_lies_far_from_all_is_an_outlier(count):
    random = np.random.default_rng(0)
    rows = random.normal(0, 0.3, (count, 16)) + np.eye(16)[random.integers(0, 2, count)]
    rows[17] = -np.ones(16)
    found = dict(find_outliers(unit(rows)))
    assert min(found, key=found.get) == 17
    assert len(found) < count / 10


def test_few_images_have_no_outliers():
    assert find_outliers(unit(np.eye(5))) == []


def lesson():
    """Two classes along the first axis, and unlabelled images of both, one in the middle and one elsewhere."""
    random = np.random.default_rng(1)
    labelled = random.normal(0, 0.1, (40, 8))
    classes = np.repeat([0, 1], 20)
    labelled[:, 0] += 2.0 * classes - 1
    unlabelled = random.normal(0, 0.1, (300, 8))
    unlabelled[:, 0] += np.where(np.arange(300) % 2, 1, -1)
    unlabelled[7, 0] = 0
    return unit(labelled), classes, unit(unlabelled)


def test_the_doubtful_is_asked_first():
    labelled, classes, unlabelled = lesson()
    found = choose(unlabelled, labelled, classes, 2)
    assert len(found) == CHOSEN == len({choice.image for choice in found})
    assert found[0].image == 7
    assert found[0].margin == min(choice.margin for choice in found)


def test_guesses_are_the_likeliest_labels():
    labelled, classes, unlabelled = lesson()
    found = [choice for choice in choose(unlabelled, labelled, classes, 2) if choice.image != 7]
    assert all(choice.label == choice.image % 2 for choice in found)


def test_without_labels_what_differs_is_chosen():
    rows = np.repeat(np.eye(3), 50, axis=0)
    found = choose(rows, np.empty((0, 3)), np.empty(0, np.int64), 0)
    assert {choice.image // 50 for choice in found[:3]} == {0, 1, 2}
    assert all(choice.label is None for choice in found)


def test_the_same_image_again_adds_nothing():
    assert len(spread(np.ones((20, 1)), np.ones((20, 4)))) == 1
