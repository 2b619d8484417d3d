import pytest

from worker.chunk_sizing import FIRST_IMAGES, LEAST_IMAGES, ChunkSizing


def test_a_chunk_is_as_long_as_the_seconds_that_it_is_to_take():
    sizing = ChunkSizing()
    assert sizing.images("m", 8, 1_000_000, 1) == FIRST_IMAGES, "nothing is known yet"
    for _ in range(6):
        images = sizing.images("m", 8, 1_000_000, 1)
        sizing.note("m", images, images / 100)
    assert images == pytest.approx(800, abs=LEAST_IMAGES)
    assert sizing.images("other", 8, 1_000_000, 1) == FIRST_IMAGES, "each model has its own rate"


def test_one_quick_chunk_is_not_trusted_too_far():
    sizing = ChunkSizing()
    sizing.note("m", 1, 0.0)
    assert sizing.images("m", 8, 1_000_000, 1) == LEAST_IMAGES


def test_a_batch_is_spread_over_all_workers_and_its_end_too():
    sizing = ChunkSizing()
    sizing.note("m", 10_000, 1)
    assert sizing.images("m", 8, 200, 2) == 128, "half, in whole passes"
    assert sizing.images("m", 8, 100, 2) == 64
    assert sizing.images("m", 8, 5, 2) == LEAST_IMAGES
    assert sizing.images("m", 8, 0, 0) == LEAST_IMAGES
