"""Images of several labels are held out so that each label is, in proportion, and without leaks."""

import random
from collections import Counter

from tests.tsukiji.drawn import copy_of, item
from tsukiji.curation.preflight import check_trainable
from tsukiji.curation.snapshots import SnapshotItem
from tsukiji.curation.splits import assign_splits
from tsukiji.curation.stratify import held_out
from tsukiji.labels import join_labels


def sets(count: int, seed: int = 7) -> list[SnapshotItem]:
    """Items of one common, one middling and one rare label, which go together as they like."""
    throw = random.Random(seed)
    chances = {"ant": 0.6, "bee": 0.25, "rare bug": 0.03}
    labels = [{label for label, chance in chances.items() if throw.random() < chance} for _ in range(count)]
    return [item(number, join_labels(found)) for number, found in enumerate(labels)]


def counted(items: list[SnapshotItem], split: str | None = None) -> Counter[str]:
    return Counter(label for found in items if split in {None, found.split} for label in found.strata)


def test_every_label_and_none_at_all_is_held_out_in_proportion() -> None:
    drawn = assign_splits(sets(400), valid_fraction=0.3, seed=1).items
    whole, out = counted(drawn), counted(drawn, "valid")
    assert set(whole) == {"ant", "bee", "rare bug", ""}
    for label, images in whole.items():
        assert abs(out[label] - 0.3 * images) <= 1, label


def test_the_same_draw_for_any_order_and_another_for_another_seed() -> None:
    items = sets(120)
    sides = {found.image_id: found.split for found in assign_splits(items, valid_fraction=0.3, seed=1).items}
    turned = assign_splits(items[::-1], valid_fraction=0.3, seed=1).items
    assert sides == {found.image_id: found.split for found in turned}
    other = assign_splits(items, valid_fraction=0.3, seed=2).items
    assert sides != {found.image_id: found.split for found in other}


def test_what_was_drawn_before_stays_and_new_images_fill_up() -> None:
    before = assign_splits(sets(200), valid_fraction=0.3, seed=1).items
    known = {found.image_id: found.split or "train" for found in before}
    after = assign_splits(sets(300), valid_fraction=0.3, seed=1, drawn=known).items
    assert {found.image_id: found.split for found in after[:200]} == known
    for label, images in counted(after).items():
        assert abs(counted(after, "valid")[label] - 0.3 * images) <= 2, label


def test_groups_and_copies_stand_on_one_side() -> None:
    items = [
        item(n, join_labels({"ant", "bee"} if n % 3 else {"bee"}), group=f"film {n // 4}" if n < 40 else None)
        for n in range(80)
    ]
    items += [item(100 + n, join_labels({"ant"}), phash=copy_of(50 + n, bits=3)) for n in range(10)]
    drawn = assign_splits(items, valid_fraction=0.3, seed=3)
    side = {found.image_id: found.split for found in drawn.items}
    assert all(len({side[f"img_{n}"] for n in range(start, start + 4)}) == 1 for start in range(0, 40, 4))
    assert all(side[f"img_{100 + n}"] == side[f"img_{50 + n}"] for n in range(10))
    assert drawn.leakage.straddling == 0
    for label, images in counted(drawn.items).items():
        assert abs(counted(drawn.items, "valid")[label] - 0.3 * images) <= 4, label


def test_a_rare_label_goes_first_so_that_common_ones_cannot_use_it_up() -> None:
    units = [Counter(ant=1)] * 8 + [Counter(ant=1, bug=1)] * 2
    out = held_out(units, [1] * 10, {"ant": 3, "bug": 1})
    assert len(out) == 3
    assert len(out & {8, 9}) == 1


def test_one_label_is_enough_where_it_is_there_or_not() -> None:
    with_it = [item(n, join_labels({"crack"})) for n in range(60)]
    without = [item(100 + n, join_labels([])) for n in range(60)]
    draw = assign_splits([*with_it, *without], valid_fraction=0.3, seed=1)
    assert check_trainable(draw, 5) == []
    assert counted(draw.items, "valid") == {"crack": 18, "": 18}
