from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tsukiji.drawn import copy_of, data_sets, fractions, item, labels, many, related, seeds
from tsukiji.curation.snapshots import SnapshotItem, dumps
from tsukiji.curation.splits import assign_splits
from tsukiji.types import Leakage

FREE = related(st.none())


def split(items: list[SnapshotItem], fraction: float = 0.3, seed: int = 1) -> list[SnapshotItem]:
    return assign_splits(items, valid_fraction=fraction, seed=seed).items


def bits_apart(one: SnapshotItem, other: SnapshotItem) -> int:
    return (int(one.phash or "", 16) ^ int(other.phash or "", 16)).bit_count()


@given(data_sets, fractions, seeds)
def test_everything_is_assigned_and_nothing_given_is_changed(
    items: list[SnapshotItem], fraction: float, seed: int
) -> None:
    assigned = split(items, fraction, seed)
    assert [replace(after, split=before.split) for before, after in zip(items, assigned, strict=True)] == items
    nothing_held_out = all(before.split != "valid" for before in items)
    for before, after in zip(items, assigned, strict=True):
        if before.split == "train" and nothing_held_out:
            assert after.split in {"train", "valid"}
        else:
            assert after.split == before.split if before.split else after.split


@given(st.dictionaries(labels, st.integers(2, 40), min_size=1), fractions, seeds)
def test_each_label_is_held_out_in_proportion_but_never_all_or_none(
    counts: dict[str, int], fraction: float, seed: int
) -> None:
    assigned = split(many(counts), fraction, seed)
    for label, count in counts.items():
        held_out = sum(found.split == "valid" for found in assigned if found.label == label)
        assert 1 <= held_out < count
        assert abs(held_out - count * fraction) <= 1


@given(data_sets, fractions, seeds, st.randoms())
def test_order_of_the_images_has_no_say(items: list[SnapshotItem], fraction: float, seed: int, random: object) -> None:
    shuffled = sorted(items, key=lambda found: hash((found.sha256, str(random))))
    assert dumps(split(items, fraction, seed)) == dumps(split(shuffled, fraction, seed))


def test_most_images_keep_their_side_even_if_nobody_remembers_it() -> None:
    before, after = (split(many({"tuna": count})) for count in (100, 110))
    moved = sum(old.split != new.split for old, new in zip(before, after[:100], strict=True))
    assert moved <= 6


def test_another_seed_holds_out_other_images() -> None:
    assert split(many({"tuna": 60}), 0.5, seed=1) != split(many({"tuna": 60}), 0.5, seed=2)


def test_validation_set_of_the_user_is_the_whole_one() -> None:
    items = [*many({"tuna": 20, "eel": 20}), item(100, "tuna", "valid"), item(101, "eel", "valid")]
    assert [found.image_id for found in split(items, 0.5) if found.split == "valid"] == ["img_100", "img_101"]


def test_single_image_of_a_label_is_learnt_from() -> None:
    assert [found.split for found in split([item(1)], 0.9)] == ["train"]


# --- nothing is set as valid ---------------------------------------------------------------------------------------


def test_what_comes_as_train_and_test_is_held_out_from_train() -> None:
    items = [*many({"tuna": 20, "eel": 20}, "train"), *(item(100 + n, "eel", "test") for n in range(9))]
    draw = assign_splits(items, valid_fraction=0.3, seed=1)
    assert Counter((found.label, found.split) for found in draw.items) == {
        ("tuna", "train"): 14,
        ("tuna", "valid"): 6,
        ("eel", "train"): 14,
        ("eel", "valid"): 6,
        ("eel", "test"): 9,
    }
    assert draw.taken == ["eel", "tuna"]
    again = assign_splits(items, valid_fraction=0.3, seed=2, drawn=draw.drawn)
    assert again.items == draw.items, "what was held out stays so"


def test_only_labels_without_anything_held_out_give_up_what_is_set_as_train() -> None:
    items = [*many({"tuna": 20}, "train"), *(item(50 + n, "eel") for n in range(20)), item(90, "eel", "train")]
    draw = assign_splits(items, valid_fraction=0.3, seed=1)
    assert draw.taken == ["tuna"]
    assert draw.items[-1].split == "train"


def test_a_validation_set_of_the_user_is_not_added_to_from_train() -> None:
    items = [*many({"tuna": 20, "eel": 20}, "train"), item(100, "tuna", "valid")]
    draw = assign_splits(items, valid_fraction=0.3, seed=1)
    assert [found.image_id for found in draw.items if found.split == "valid"] == ["img_100"]
    assert draw.taken == []


def test_what_is_set_as_train_and_looks_like_a_test_image_is_not_held_out() -> None:
    items = [*many({"tuna": 9, "eel": 9}, "train"), *(item(100 + n, "eel", "test", phash=copy_of(n)) for n in range(8))]
    draw = assign_splits(items, valid_fraction=0.3, seed=1)
    assert [found.image_id for found in draw.items if found.split == "valid" and found.label == "tuna"] == ["img_8"]


# --- kept from training to training ----------------------------------------------------------------------------------


@given(st.dictionaries(labels, st.tuples(st.integers(2, 30), st.integers(0, 30)), min_size=1), fractions, seeds, seeds)
def test_images_keep_their_side_when_the_data_set_grows(
    sizes: dict[str, tuple[int, int]], fraction: float, seed: int, other: int
) -> None:
    old = many({label: before for label, (before, _) in sizes.items()})
    drawn = {found.image_id: found.split for found in split(old, fraction, seed) if found.split}
    added = [label for label, (_, more) in sizes.items() for _ in range(more)]
    grown = [*old, *(item(1000 + number, label) for number, label in enumerate(added))]
    again = assign_splits(grown, valid_fraction=fraction, seed=other, drawn=drawn).items
    assert {found.image_id: found.split for found in again[: len(old)]} == drawn
    for label, (before, more) in sizes.items():
        held_out = sum(found.split == "valid" for found in again if found.label == label)
        assert abs(held_out - (before + more) * fraction) <= 1


@given(FREE, fractions, seeds)
def test_drawing_again_changes_nothing(items: list[SnapshotItem], fraction: float, seed: int) -> None:
    once = assign_splits(items, valid_fraction=fraction, seed=seed)
    drawn = {found.image_id: found.split for found in once.items if found.split}
    assert assign_splits(items, valid_fraction=fraction, seed=seed + 1, drawn=drawn).items == once.items


def test_a_new_picture_goes_where_its_likeness_was_drawn_to() -> None:
    old = many({"tuna": 30, "eel": 30})
    drawn = {found.image_id: found.split for found in split(old) if found.split}
    copies = [item(100 + n, old[n].label, phash=copy_of(n, 5)) for n in range(60)]
    again = assign_splits([*old, *copies], valid_fraction=0.3, seed=2, drawn=drawn).items
    assert [found.split for found in again[60:]] == [found.split for found in again[:60]]


def test_a_split_of_the_user_wins_over_an_earlier_draw() -> None:
    items = [*many({"tuna": 9, "eel": 9}), item(50, "eel", "train")]
    again = assign_splits(items, valid_fraction=0.3, seed=1, drawn={"img_50": "valid"}).items
    assert again[-1].split == "train"


def test_a_label_that_lost_its_held_out_images_gets_another() -> None:
    items = many({"tuna": 9, "eel": 9})
    again = assign_splits(items, valid_fraction=0.3, seed=1, drawn={found.image_id: "train" for found in items[:9]})
    assert Counter(found.split for found in again.items[:9])["valid"] == 1


# --- what belongs together -------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(FREE, fractions, seeds)
def test_what_belongs_together_stands_on_one_side(items: list[SnapshotItem], fraction: float, seed: int) -> None:
    draw = assign_splits(items, valid_fraction=fraction, seed=seed)
    for number, one in enumerate(draw.items):
        for other in draw.items[:number]:
            if bits_apart(one, other) <= 6 or (one.group and one.group == other.group):
                assert one.split == other.split
    assert draw.leakage.straddling == 0


@given(st.lists(st.integers(1, 12), min_size=6, max_size=30), st.floats(0.1, 0.5), seeds)
def test_groups_are_held_out_in_proportion_too(sizes: list[int], fraction: float, seed: int) -> None:
    names = [f"boat {number}" for number, size in enumerate(sizes) for _ in range(size)]
    assigned = split([item(number, group=name) for number, name in enumerate(names)], fraction, seed)
    held_out = sum(found.split == "valid" for found in assigned)
    assert 0 < held_out < len(names)
    assert abs(held_out - len(names) * fraction) <= max(sizes)


def test_what_resembles_a_test_image_is_not_learnt_from() -> None:
    items = [*many({"tuna": 20, "eel": 20}), item(50, "eel", "test", phash=copy_of(3, 6)), item(51, "eel", "test")]
    draw = assign_splits(items, valid_fraction=0.3, seed=1)
    assert draw.items[3].split == "test"
    assert Counter(found.split for found in draw.items)["test"] == 3
    without = assign_splits(items[:40], valid_fraction=0.3, seed=1, drawn={"img_3": "test"})
    assert without.items[3].split == "test", "it stays there when the test image is gone"


def test_what_the_user_tears_apart_stays_apart_and_is_counted() -> None:
    apart = [item(50, "eel", "train", group="a"), item(51, "eel", "valid", group="a"), item(52, "eel", group="a")]
    draw = assign_splits([*many({"tuna": 20, "eel": 20}), *apart], valid_fraction=0.3, seed=1)
    assert [found.split for found in draw.items[-3:]] == ["train", "valid", "train"]
    assert (draw.leakage.straddling, draw.straddling_groups) == (1, ["a"])


def test_leakage_says_what_was_found_and_what_was_done() -> None:
    pairs = [item(100 + n, "eel", phash=copy_of(n, 6)) for n in range(20)]
    items = [*many({"eel": 40}), *pairs, item(200, "eel", group="a"), item(201, "eel", group="b")]
    draw = assign_splits(items, valid_fraction=0.5, seed=1)
    alone = split([replace(found, phash=copy_of(int(found.image_id[4:]))) for found in items], 0.5)
    differ = sum(one.split != other.split for one, other in zip(draw.items, alone, strict=True) if one.group is None)
    assert 0 < draw.leakage.moved <= differ
    assert draw.leakage == Leakage(near_duplicate_groups=20, near_duplicates=40, moved=draw.leakage.moved, groups=2)


def test_pictures_without_structure_and_without_hash_are_like_none() -> None:
    plain = [item(n, label, phash=phash) for n, (label, phash) in enumerate([("a", "0" * 16), ("b", None)] * 10)]
    draw = assign_splits(plain, valid_fraction=0.3, seed=1)
    assert draw.leakage == Leakage()
    assert Counter((found.label, found.split) for found in draw.items)[("a", "valid")] == 3


def test_fifty_thousand_images_can_be_split() -> None:
    items = [item(n, f"kind {n % 10}", phash=copy_of(n - n % 50 if n % 7 == 0 else n, 3)) for n in range(50_000)]
    draw = assign_splits(items, valid_fraction=0.2, seed=1)
    assert draw.leakage.near_duplicate_groups == 1000
    assert abs(Counter(found.split for found in draw.items)["valid"] - 10_000) <= 10
