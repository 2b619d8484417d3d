import pytest
from hypothesis import given

from tests.tsukiji.drawn import data_sets
from tsukiji.errors import Invalid
from tsukiji.snapshots import SnapshotItem, dumps, loads


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


def test_fields_that_came_later_change_no_older_hash() -> None:
    old = SnapshotItem("img_1", "ab" * 32, "1.jpg", "tuna", "train")
    new = SnapshotItem("img_2", "cd" * 32, "2.jpg", "tuna", "train", "boat 1", "f0" * 8)
    before, after = dumps([old, new]).splitlines()
    assert b"group" not in before
    assert b"phash" not in before
    assert b'"group":"boat 1"' in after
    assert loads(before + b"\n" + after) == [old, new]


@pytest.mark.parametrize("data", [b"{", b'{"image_id": "img_1"}\n', b"[1]\n", b"\xff\n"])
def test_other_bytes_are_no_snapshot(data: bytes) -> None:
    with pytest.raises(Invalid):
        loads(data)
