"""The test of drift: its false alarms, its power, and what it lets pass."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from tsukiji.errors import PackageInvalid
from tsukiji.vision.drift import (
    FEATURES,
    GROUP_IMAGES,
    MOST_GROUPS,
    Distribution,
    HeldOut,
    discrepancy,
    fourier_features,
    group,
    judge,
    kolmogorov,
    read_held_out,
    total_variation,
)

LABELS = 3
RATES = np.array([0.3, 1.0, 3.0])
"""How widely the known scores of each label spread: labels differ in how strange their own pictures are."""


def draw(random: np.random.Generator, images: int, mix: tuple[float, ...] = (0.4, 0.4, 0.2), others: float = 0.0):
    """Return classes and known scores of pictures, some of them of other things."""
    classes = random.choice(LABELS, images, p=mix)
    known = np.exp(-RATES[classes] * random.exponential(1, images))
    return classes, np.where(random.random(images) < others, 0.0, known)


def counted(classes, known, held_out=None) -> Distribution:
    return Distribution.of(classes, known, known, np.zeros((len(known), FEATURES)), LABELS, held_out)


def reference(random: np.random.Generator, images: int) -> HeldOut:
    classes, known = draw(random, images)
    return HeldOut.of(classes, known, known, np.zeros((images, FEATURES)), LABELS)


def alarms(images: int, held_out: int, runs: int, **what) -> float:
    """Return how often batches raise an alarm, each with a reference of its own."""
    random = np.random.default_rng(1)
    raised = 0
    for _ in range(runs):
        kept = reference(random, held_out)
        raised += judge(counted(*draw(random, images, **what), kept), kept).exceeded
    return raised / runs


@pytest.mark.parametrize(("images", "held_out"), [(1000, 78), (1000, 600), (20, 78), (50_000, 100)])
def test_one_batch_in_a_hundred_of_its_own_kind_raises_an_alarm_at_most(images, held_out):
    assert alarms(images, held_out, 120) <= 0.01


@pytest.mark.parametrize("held_out", [78, 600])
def test_a_fifth_of_other_things_is_found(held_out):
    assert alarms(1000, held_out, 50, others=0.2) >= 0.9


@pytest.mark.parametrize("label", range(LABELS))
def test_a_batch_of_a_single_label_is_no_drift(label):
    mix = tuple(float(label == each) for each in range(LABELS))
    assert alarms(1000, 600, 100, mix=mix) <= 0.01


def test_copies_of_few_pictures_do_not_count_as_many():
    random = np.random.default_rng(2)
    raised = 0
    for _ in range(100):
        kept, (classes, known) = reference(random, 80), draw(random, 80)
        places = random.integers(0, 80, 20_000)
        raised += judge(counted(classes[places], known[places], kept), kept).exceeded
    assert raised <= 2


def test_counts_add_up_however_a_batch_is_cut():
    random = np.random.default_rng(3)
    kept = reference(random, 60)
    classes, known = draw(random, 100)
    features = random.normal(size=(100, FEATURES))
    whole = Distribution.of(classes, known, known, features, LABELS, kept)
    parts = [
        Distribution.of(classes[at], known[at], known[at], features[at], LABELS, kept)
        for at in np.array_split(np.arange(100), 7)
    ]
    added = Distribution.from_bytes(parts[0].to_bytes())
    for part in parts[1:]:
        added = Distribution.from_bytes((added + part).to_bytes())
    assert judge(added, kept) == judge(whole, kept)
    assert (added.images, added.scores.tolist(), added.known.tolist()) == (
        100,
        whole.scores.tolist(),
        whole.known.tolist(),
    )
    assert np.allclose(added.features, whole.features, atol=1e-3)


def test_a_batch_with_many_labels_takes_few_bytes():
    random = np.random.default_rng(4)
    found = Distribution.of(
        random.integers(0, 1000, 50_000),
        random.random(50_000),
        random.random(50_000),
        np.zeros((50_000, FEATURES)),
        1000,
    )
    assert len(found.to_bytes()) < 4000


def test_labels_with_few_held_out_pictures_are_compared_together():
    assert group(np.array([50, 3, 40, 0])).tolist() == [0, 1, 1, 1], "the rarer ones alone are too few"
    assert group(np.array([50, 30, 25])).tolist() == [0, 1, 2]
    assert group(np.array([2, 1])).tolist() == [0, 0]
    assert group(np.full(100, GROUP_IMAGES)).max() == MOST_GROUPS - 1


def test_a_model_with_one_held_out_picture_never_alarms_by_a_few():
    kept = HeldOut.of(np.array([0]), np.ones(1), np.full(1, 0.5), np.zeros((1, FEATURES)), LABELS)
    strange = counted(np.zeros(1000, int), np.zeros(1000), kept)
    assert not judge(strange, kept).exceeded
    assert judge(counted(np.zeros(0, int), np.zeros(0), kept), kept).p_value == 1


def test_distances_are_nothing_for_equal_distributions():
    random = np.random.default_rng(5)
    embeddings = random.random((400, 90)).astype(np.float32)
    features = fourier_features(embeddings, 10)
    classes = np.arange(400) % LABELS

    def kept(rows: NDArray[np.float32]) -> Distribution:
        return Distribution.of(classes[: len(rows)], np.full(len(rows), 0.5), None, rows, LABELS)

    alike, other = kept(features[200:]), kept(fourier_features(embeddings**4, 10))
    near, far = discrepancy(kept(features[:200]), alike), discrepancy(kept(features[:200]), other)
    assert near is not None
    assert far is not None
    assert near < far / 3
    assert total_variation([1, 3], [25, 75]) == 0
    assert total_variation([1, 0], [0, 1]) == 1
    assert kolmogorov([1, 1, 0], [0, 1, 1]) == 0.5
    assert total_variation([0, 0], [1, 1]) is None


@pytest.mark.parametrize(
    "change",
    [
        {"groups": [0, 0, 7]},
        {"ranks": [9000]},
        {"thresholds": []},
        {"features": [float("nan")] * FEATURES},
        {"scores": [1]},
    ],
)
def test_what_contradicts_itself_is_refused(change):
    kept = reference(np.random.default_rng(6), 10).model_dump()
    with pytest.raises(ValidationError):
        HeldOut.model_validate(kept | change)


def test_a_package_for_other_labels_is_refused(tmp_path):
    assert read_held_out(tmp_path) is None
    (tmp_path / "held_out.json").write_text(reference(np.random.default_rng(7), 10).model_dump_json())
    config = {
        "architecture": "resnet18",
        "num_classes": 1,
        "num_features": 512,
        "label_names": ["a"],
        "pretrained": True,
    }
    (tmp_path / "config.json").write_text(json.dumps(config | {"pretrained": True}))
    with pytest.raises(PackageInvalid):
        read_held_out(tmp_path)
