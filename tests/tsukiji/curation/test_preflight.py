import pytest

from tests.tsukiji.drawn import copy_of, item, many
from tsukiji.curation.preflight import check_counts, check_trainable
from tsukiji.curation.snapshots import SnapshotItem
from tsukiji.curation.splits import Draw, assign_splits
from tsukiji.errors import DatasetTooSmall
from tsukiji.labels import join_labels
from tsukiji.types import Split


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([], "at least two labels"),
        (many({"tuna": 30}), "at least two labels"),
        (many({"tuna": 30, "eel": 4}), r"eel \(4\)"),
        ([*many({"tuna": 30}), *(item(50 + n, "eel", "test") for n in range(9))], "at least two labels"),
        ([*many({"tuna": 30}), *(item(50 + n, "eel", "valid") for n in range(9))], "left to train on: eel"),
        (many({"tuna": 30, "eel": 30}, "train"), "none is left to evaluate"),
    ],
)
def test_too_small_a_data_set_says_what_is_missing(items: list[SnapshotItem], words: str) -> None:
    with pytest.raises(DatasetTooSmall, match=words):
        check_trainable(Draw(items), 5)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([], "at least two labels"),
        ([("tuna", None, 30), ("eel", None, 4)], r"eel \(4\)"),
        ([("tuna", None, 30), ("eel", "test", 9)], "at least two labels"),
        ([("tuna", None, 30), ("eel", "valid", 9)], "left to train on: eel"),
    ],
)
def test_counts_alone_tell_most_of_it(counts: list[tuple[str, Split | None, int]], words: str) -> None:
    with pytest.raises(DatasetTooSmall, match=words):
        check_counts(counts, 5)


@pytest.mark.parametrize(
    "counts",
    [
        [("tuna", "train", 30), ("eel", "train", 30)],  # some of them can be held out
        [("tuna", "train", 30), ("eel", "train", 30), ("eel", "test", 5)],
        [("tuna", "train", 30), ("eel", "train", 30), ("eel", "valid", 5)],
    ],
)
def test_what_drawing_splits_may_still_mend_is_not_refused_by_counts(
    counts: list[tuple[str, Split | None, int]],
) -> None:
    assert [warning["code"] for warning in check_counts(counts, 5)] == ["few_images"]


def test_error_lists_the_images_of_each_label() -> None:
    with pytest.raises(DatasetTooSmall) as caught:
        check_trainable(Draw(many({"tuna": 30, "eel": 4})), 5)
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
        ({"tuna": 60, "Tuna": 60}, ["labels_alike"]),
        ({"tuna": 40, "eel": 10}, ["imbalanced", "few_images"]),
    ],
)
def test_warnings_name_what_a_person_should_know(counts: dict[str, int], codes: list[str]) -> None:
    warnings = check_trainable(Draw(many(counts)), 5)
    assert [warning["code"] for warning in warnings] == codes
    assert all(warning["detail"] for warning in warnings)


def codes_of(items: list[SnapshotItem]) -> dict[str, str]:
    draw = assign_splits(items, valid_fraction=0.3, seed=1)
    return {warning["code"]: warning["detail"] for warning in check_trainable(draw, 5)}


def test_near_duplicates_that_were_kept_together_are_told() -> None:
    items = [*many({"tuna": 60, "eel": 60}), *(item(200 + n, "eel", phash=copy_of(60 + n, 4)) for n in range(9))]
    warnings = codes_of(items)
    assert list(warnings) == ["leakage_avoided"]
    assert warnings["leakage_avoided"].startswith("9 groups of images that look the same")


def test_near_duplicates_on_both_sides_are_told() -> None:
    items = [*many({"tuna": 60, "eel": 60}), item(200, "eel", "train", phash=copy_of(201)), item(201, "eel", "valid")]
    warnings = codes_of(items)
    assert list(warnings) == ["leakage_found"]
    assert "1 group of images that look the same, of 1, are on both sides of the split" in warnings["leakage_found"]


def test_groups_that_the_user_tore_apart_are_named() -> None:
    apart = [item(200, "eel", "train", group="boat 7"), item(201, "eel", "test", group="boat 7")]
    warnings = codes_of([*many({"tuna": 60, "eel": 60}), *apart])
    assert list(warnings) == ["group_straddles"]
    assert warnings["group_straddles"].endswith(": boat 7.")


def test_images_that_were_never_compared_are_counted() -> None:
    items = [*many({"tuna": 60, "eel": 60}), *(item(200 + n, "eel", phash=None) for n in range(3))]
    assert codes_of(items)["unhashed_images"].startswith("3 images added before")


def test_a_label_whose_images_are_one_group_cannot_be_trained() -> None:
    items = [*many({"tuna": 30}), *(item(100 + n, "eel", group="boat 1") for n in range(30))]
    with pytest.raises(DatasetTooSmall, match="cannot be both trained on and held out: eel"):
        codes_of(items)
    two_boats = [*items[:45], *(item(200 + n, "eel", group="boat 2") for n in range(15))]
    assert "few_images" in codes_of(two_boats)


def test_a_label_whose_few_images_look_the_same_cannot_be_trained() -> None:
    items = [*many({"tuna": 30}), *(item(100 + n, "eel", phash=copy_of(100, n)) for n in range(6))]
    with pytest.raises(DatasetTooSmall, match="cannot be both trained on and held out: eel"):
        codes_of(items)


def test_a_kind_that_looks_alike_throughout_can_be_trained_all_the_same() -> None:
    """A camera that never moves: each picture is 2 bits away from the next, none is like none."""
    scene = [item(100 + n, "eel", phash=f"{(0xFFFF_FFFF << 32) ^ (3 << n):016x}") for n in range(30)]
    warnings = codes_of([*many({"tuna": 30}), *scene])
    assert "near_duplicates_unclear" in warnings
    assert "eel" in warnings["near_duplicates_unclear"]


SETS = {
    "one_label_alone": [item(n, join_labels({"crack"})) for n in range(30)],
    "nothing_but_none": [item(n, join_labels([])) for n in range(30)],
    "rare": [item(n, join_labels({"ant", "bee"} if n < 4 else {"ant"})) for n in range(30)],
}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("one_label_alone", "at least 5 images must be marked as.*there are 0"),
        ("nothing_but_none", "No image has a label"),
        ("rare", r"bee \(4\)"),
    ],
)
def test_sets_of_labels_are_counted_by_label(name: str, words: str) -> None:
    with pytest.raises(DatasetTooSmall, match=words):
        check_trainable(Draw(SETS[name]), 5)


def test_a_label_that_every_image_has_is_told() -> None:
    items = [item(n, join_labels({"ant", "bee"} if n % 2 else {"ant"})) for n in range(200)]
    warnings = check_trainable(assign_splits(items, valid_fraction=0.3, seed=1), 5)
    assert [warning["code"] for warning in warnings] == ["label_everywhere"]
    assert "ant" in warnings[0]["detail"]
