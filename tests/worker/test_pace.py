import pytest

from worker.pace import FIRST_IMAGES, LEAST_IMAGES, Pace


def test_a_chunk_is_as_long_as_the_seconds_that_it_is_to_take():
    pace = Pace()
    assert pace.images("m", 8, 1_000_000, 1) == FIRST_IMAGES, "nothing is known yet"
    for _ in range(6):
        images = pace.images("m", 8, 1_000_000, 1)
        pace.note("m", images, images / 100)
    assert images == pytest.approx(800, abs=LEAST_IMAGES)
    assert pace.images("other", 8, 1_000_000, 1) == FIRST_IMAGES, "each model has its own pace"


def test_one_quick_chunk_is_not_trusted_too_far():
    pace = Pace()
    pace.note("m", 1, 0.0)
    assert pace.images("m", 8, 1_000_000, 1) == LEAST_IMAGES


def test_a_batch_is_spread_over_all_workers_and_its_end_too():
    pace = Pace()
    pace.note("m", 10_000, 1)
    assert pace.images("m", 8, 200, 2) == 128, "half, in whole passes"
    assert pace.images("m", 8, 100, 2) == 64
    assert pace.images("m", 8, 5, 2) == LEAST_IMAGES
    assert pace.images("m", 8, 0, 0) == LEAST_IMAGES
