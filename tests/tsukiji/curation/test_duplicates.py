import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tsukiji.curation import duplicates
from tsukiji.curation.duplicates import alike

ONE_BIT = st.integers(0, 63).map(lambda bit: 1 << bit)


@st.composite
def crowded(draw: st.DrawFn) -> NDArray[np.uint64]:
    """Hashes with many close ones: each is new, or an earlier one with some bits flipped."""
    hashes: list[int] = []
    for _ in range(draw(st.integers(1, 60))):
        if hashes and draw(st.booleans()):
            hashes.append(draw(st.sampled_from(hashes)) ^ sum(draw(st.sets(ONE_BIT, max_size=8))))
        else:
            hashes.append(draw(st.integers(0, 2**64 - 1)))
    return np.array(hashes, dtype=np.uint64)


def compared_each_with_each(hashes: NDArray[np.uint64], distance: int) -> list[int]:
    groups = list(range(len(hashes)))
    for i, one in enumerate(hashes):
        for j, other in enumerate(hashes[:i]):
            if int(one ^ other).bit_count() <= distance:
                groups = [groups[j] if group == groups[i] else group for group in groups]
    return groups


def partition(groups: list[int]) -> list[int]:
    return [groups.index(group) for group in groups]


@given(crowded(), st.integers(0, 8))
def test_finds_what_comparing_each_with_each_finds(hashes: NDArray[np.uint64], distance: int) -> None:
    expected = partition(compared_each_with_each(hashes, distance))
    assert partition(alike(hashes, distance).tolist()) == expected


@given(crowded())
def test_blocks_make_no_difference(hashes: NDArray[np.uint64]) -> None:
    whole = alike(hashes, 6).tolist()
    before, duplicates.COMPARED_AT_ONCE = duplicates.COMPARED_AT_ONCE, 3
    try:
        assert alike(hashes, 6).tolist() == whole
    finally:
        duplicates.COMPARED_AT_ONCE = before


def test_fifty_thousand_of_one_scene_are_one_group() -> None:
    turned = np.random.default_rng(0).integers(0, 64, (4, 50_000)).astype(np.uint64)
    hashes = np.bitwise_xor.reduce(np.uint64(1) << turned)
    assert len(set(alike(hashes, 6).tolist())) == 1


def test_of_nothing_nothing_is_alike() -> None:
    assert alike(np.array([], dtype=np.uint64), 6).tolist() == []
