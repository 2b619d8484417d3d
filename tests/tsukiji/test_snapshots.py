from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsukiji.errors import DatasetTooSmall, Invalid
from tsukiji.snapshots import SnapshotItem, assign_splits, check_trainable, dumps, loads
from tsukiji.types import Split


def item(number: int, label: str = "tuna", split: Split | None = None) -> SnapshotItem:
    return SnapshotItem(f"img_{number}", sha256(b"%d" % number).hexdigest(), f"{number}.jpg", label, split)


def many(counts: dict[str, int], split: Split | None = None) -> list[SnapshotItem]:
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [item(number, label, split) for number, label in enumerate(labels)]


labels = st.sampled_from(["tuna", "eel", "squid"])
splits = st.sampled_from([None, None, None, "train", "valid", "test"])
data_sets = st.lists(st.tuples(labels, splits), max_size=80).map(
    lambda rows: [item(number, label, split) for number, (label, split) in enumerate(rows)]
)
fractions = st.floats(0.01, 0.99)
seeds = st.integers(0, 2**31 - 1)


@given(data_sets, fractions, seeds)
def test_everything_is_assigned_and_nothing_given_is_changed(
    items: list[SnapshotItem], fraction: float, seed: int
) -> None:
    assigned = assign_splits(items, valid_fraction=fraction, seed=seed)
    assert [replace(after, split=before.split) for before, after in zip(items, assigned, strict=True)] == items
    for before, after in zip(items, assigned, strict=True):
        assert after.split == before.split if before.split else after.split in {"train", "valid"}


@given(st.dictionaries(labels, st.integers(2, 40), min_size=1), fractions, seeds)
def test_each_label_is_held_out_in_proportion_but_never_all_or_none(
    counts: dict[str, int], fraction: float, seed: int
) -> None:
    assigned = assign_splits(many(counts), valid_fraction=fraction, seed=seed)
    for label, count in counts.items():
        held_out = sum(found.split == "valid" for found in assigned if found.label == label)
        assert 1 <= held_out < count
        assert abs(held_out - count * fraction) <= 1


@given(data_sets, fractions, seeds, st.randoms())
def test_order_of_the_images_has_no_say(items: list[SnapshotItem], fraction: float, seed: int, random: object) -> None:
    shuffled = sorted(items, key=lambda found: hash((found.sha256, str(random))))
    once = assign_splits(items, valid_fraction=fraction, seed=seed)
    again = assign_splits(shuffled, valid_fraction=fraction, seed=seed)
    assert dumps(once) == dumps(again)


def test_most_images_keep_their_side_when_the_data_set_grows() -> None:
    before = assign_splits(many({"tuna": 100}), valid_fraction=0.3, seed=1)
    after = assign_splits(many({"tuna": 110}), valid_fraction=0.3, seed=1)
    moved = sum(old.split != new.split for old, new in zip(before, after[:100], strict=True))
    assert moved <= 6


def test_another_seed_holds_out_other_images() -> None:
    first, second = (assign_splits(many({"tuna": 60}), valid_fraction=0.5, seed=seed) for seed in (1, 2))
    assert first != second


def test_validation_set_of_the_user_is_the_whole_one() -> None:
    items = [*many({"tuna": 20, "eel": 20}), item(100, "tuna", "valid"), item(101, "eel", "valid")]
    assigned = assign_splits(items, valid_fraction=0.5, seed=1)
    assert [found.image_id for found in assigned if found.split == "valid"] == ["img_100", "img_101"]


def test_single_image_of_a_label_is_learnt_from() -> None:
    assert [found.split for found in assign_splits([item(1)], valid_fraction=0.9, seed=1)] == ["train"]


@given(data_sets)
def test_snapshot_reads_back_and_does_not_depend_on_order(items: list[SnapshotItem]) -> None:
    data = dumps(items)
    assert sorted(loads(data), key=lambda found: found.image_id) == sorted(items, key=lambda found: found.image_id)
    assert dumps(reversed(items)) == data
    assert data.count(b"\n") == len(items)


def test_form_of_a_snapshot_does_not_change() -> None:
    """Hashes of snapshots are kept; whoever changes the form must say so in a new format."""
    data = dumps([SnapshotItem("img_1", "ab" * 32, "tünä.jpg", "tuna", "train")])
    line = '{"image_id":"img_1","label":"tuna","name":"t\\u00fcn\\u00e4.jpg","sha256":"%s","split":"train"}\n'
    assert data.decode() == line % ("ab" * 32)


@pytest.mark.parametrize("data", [b"{", b'{"image_id": "img_1"}\n', b"[1]\n", b"\xff\n"])
def test_other_bytes_are_no_snapshot(data: bytes) -> None:
    with pytest.raises(Invalid):
        loads(data)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([], "at least two labels"),
        (many({"tuna": 30}), "at least two labels"),
        (many({"tuna": 30, "eel": 4}), r"eel \(4\)"),
        ([*many({"tuna": 30}), *(item(50 + n, "eel", "test") for n in range(9))], "at least two labels"),
        ([*many({"tuna": 30}), *(item(50 + n, "eel", "valid") for n in range(9))], "left to learn from: eel"),
        (many({"tuna": 30, "eel": 30}, "train"), "none is left to measure"),
    ],
)
def test_too_small_a_data_set_says_what_is_missing(items: list[SnapshotItem], words: str) -> None:
    with pytest.raises(DatasetTooSmall, match=words):
        check_trainable(items, 5)


def test_error_lists_the_images_of_each_label() -> None:
    with pytest.raises(DatasetTooSmall) as caught:
        check_trainable(many({"tuna": 30, "eel": 4}), 5)
    assert caught.value.to_dict()["labels"] == [
        {"label": "eel", "images": 4, "needed": 5},
        {"label": "tuna", "images": 30, "needed": 5},
    ]


@pytest.mark.parametrize(
    ("counts", "codes"),
    [
        ({"tuna": 60, "eel": 60}, []),
        ({"tuna": 120, "eel": 60}, []),
        ({"tuna": 121, "eel": 60}, ["imbalanced"]),
        ({"tuna": 49, "eel": 50}, ["few_images"]),
        ({"tuna": 40, "eel": 10}, ["imbalanced", "few_images"]),
    ],
)
def test_warnings_name_what_a_person_should_know(counts: dict[str, int], codes: list[str]) -> None:
    warnings = check_trainable(many(counts), 5)
    assert [warning["code"] for warning in warnings] == codes
    assert all(warning["detail"] for warning in warnings)
