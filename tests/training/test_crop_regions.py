"""The region that features respond to: found on maps that respond where a test wants them to."""

import numpy as np
import pytest

from training.crop_regions import WHOLE, find_region, largest_part


def maps(rows, columns, side=7):
    found = np.zeros((side, side), np.float32)
    found[rows, columns] = 5
    return found


def test_the_box_holds_what_responds():
    left, upper, right, lower = find_region(maps(slice(2, 4), slice(3, 5)), 100, 100)
    assert 0.3 < left < 3 / 7
    assert 5 / 7 < right < 0.85
    assert 0.15 < upper < 2 / 7
    assert 4 / 7 < lower < 0.7


def test_only_the_largest_part_counts():
    both = maps(slice(1, 5), slice(0, 3)) + maps(slice(6, 7), slice(6, 7))
    _, _, right, lower = find_region(both, 100, 100)
    assert right < 0.6
    assert lower < 0.9


@pytest.mark.parametrize(("width", "height"), [(200, 100), (100, 200)])
def test_what_the_square_leaves_out_is_not_cut_off(width, height):
    assert find_region(maps(slice(0, 7), slice(0, 3)), width, height)[:2] == (0, 0)
    assert find_region(maps(slice(0, 7), slice(0, 3)), width, height)[3] == 1


def test_a_box_inside_lies_where_the_square_does():
    left, _, right, _ = find_region(maps(slice(0, 7), slice(3, 4)), 300, 100)
    assert 1 / 3 < left < 0.5 < right < 2 / 3


def test_maps_that_respond_alike_everywhere_say_nothing():
    assert find_region(np.ones((3, 3), np.float32), 100, 100) == WHOLE


def test_parts_that_touch_by_a_corner_are_two():
    mask = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 1]], bool)
    mask[2, 1] = True
    assert largest_part(mask).sum() == 3
