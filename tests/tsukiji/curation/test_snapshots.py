from typing import Any

import pytest
from hypothesis import given

from tests.tsukiji.drawn import data_sets
from tsukiji.curation.snapshots import SnapshotItem, compare, dumps, loads
from tsukiji.errors import Invalid


@given(data_sets)
def test_snapshot_reads_back_and_does_not_depend_on_order(items: list[SnapshotItem]) -> None:
    data = dumps(items)
    assert sorted(loads(data), key=lambda found: found.image_id) == sorted(items, key=lambda found: found.image_id)
    assert dumps(reversed(items)) == data
    assert data.count(b"\n") == len(items)


def test_form_of_a_snapshot_does_not_change() -> None:
    """Stored hashes of snapshots must stay valid; a changed form needs a new format name."""
    data = dumps([SnapshotItem("img_1", "ab" * 32, "tünä.jpg", "tuna", "train")])
    line = '{"image_id":"img_1","label":"tuna","name":"t\\u00fcn\\u00e4.jpg","sha256":"%s","split":"train"}\n'
    assert data.decode() == line % ("ab" * 32)


def test_fields_that_came_later_change_no_older_hash() -> None:
    old = SnapshotItem("img_1", "ab" * 32, "1.jpg", "tuna", "train")
    new = SnapshotItem("img_2", "cd" * 32, "2.jpg", "tuna", "train", "boat 1", "f0" * 8, (0, 1, 20, 30))
    before, after = dumps([old, new]).splitlines()
    assert b"group" not in before
    assert b"phash" not in before
    assert b"crop" not in before
    assert b'"group":"boat 1"' in after
    assert loads(before + b"\n" + after) == [old, new]


@pytest.mark.parametrize("data", [b"{", b'{"image_id": "img_1"}\n', b"[1]\n", b"\xff\n"])
def test_other_bytes_are_no_snapshot(data: bytes) -> None:
    with pytest.raises(Invalid):
        loads(data)


def test_what_lies_between_two_snapshots() -> None:
    def item(number: int, label: str = "tuna", **more: Any) -> SnapshotItem:
        return SnapshotItem(f"img_{number}", f"{number:064x}", f"{number}.jpg", label, **more)

    before = [item(1), item(2), item(3), item(4), item(5, crop=(0, 0, 9, 9))]
    after = [item(1), item(2, "eel", split="test"), item(4, split="valid"), item(5), item(6)]
    changes = {change.name: change.changes for change in compare(before, after)}
    assert changes == {
        "2.jpg": ["relabelled", "resplit"],
        "3.jpg": ["removed"],
        "4.jpg": ["resplit"],
        "5.jpg": ["recropped"],
        "6.jpg": ["added"],
    }
    assert compare(after, after) == []


def test_a_picture_that_was_sent_again_is_the_same() -> None:
    """It has another id then; its content tells that it is the same."""
    old, new = (SnapshotItem(image_id, "ab" * 32, "1.jpg", "tuna") for image_id in ("img_1", "img_2"))
    assert compare([old], [new]) == []
