"""Random data sets: items without pictures, some of which look alike or share a group."""

from hashlib import sha256

from hypothesis import strategies as st

from tsukiji.curation.snapshots import SnapshotItem
from tsukiji.types import Split


def item(number: int, label: str = "tuna", split: Split | None = None, **fields: str | None) -> SnapshotItem:
    """Return an item that looks like no other: random hashes of 64 bits lie some 32 apart."""
    content = sha256(b"%d" % number).hexdigest()
    return SnapshotItem(f"img_{number}", content, f"{number}.jpg", label, split, **{"phash": content[:16], **fields})


def many(counts: dict[str, int], split: Split | None = None) -> list[SnapshotItem]:
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [item(number, label, split) for number, label in enumerate(labels)]


def copy_of(number: int, bits: int = 0) -> str:
    """Return a hash that differs from that of the item of this number in `bits` bits."""
    return f"{int(sha256(b'%d' % number).hexdigest()[:16], 16) ^ (1 << bits) - 1:016x}"


labels = st.sampled_from(["tuna", "eel", "squid"])
splits = st.sampled_from([None, None, None, "train", "valid", "test"])
fractions = st.floats(0.01, 0.99)
seeds = st.integers(0, 2**31 - 1)


@st.composite
def related(draw: st.DrawFn, splits: st.SearchStrategy[Split | None] = splits) -> list[SnapshotItem]:
    """Items, some of which share a group, or look like an earlier one."""
    rows = draw(
        st.lists(st.tuples(labels, splits, st.integers(0, 30), st.integers(0, 60), st.integers(0, 6)), max_size=80)
    )
    items = []
    for number, (label, split, group, like, bits) in enumerate(rows):
        phash = copy_of(like, bits) if like < number else copy_of(number)
        items.append(item(number, label, split, group=f"boat {group}" if group < 5 else None, phash=phash))
    return items


data_sets = related()
