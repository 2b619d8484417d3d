"""Boxes meet the borders of photos, and stay where a picture has none."""

import numpy as np
import pytest
from PIL import Image

from tests.tsukiji.vision.pictures import noise
from tsukiji.vision.edges import snap


def photo(width, height, seed):
    """Something with shapes and grain, as photos have."""
    coarse = noise(5, 4, seed).resize((width, height), Image.Resampling.BICUBIC)
    return Image.blend(coarse, noise(width, height, seed + 1), 0.1)


def around(box, across, down):
    """A box that is off by so many pixels, and too small."""
    left, upper, right, lower = box
    return np.array([[left + across, upper + down, right - 5 + across, lower - 9 + down]], np.float32)


@pytest.mark.parametrize("on_a_photo", [False, True])
@pytest.mark.parametrize(("across", "down"), [(0, 0), (25, -20), (-30, 30)])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_the_border_of_a_photo_is_found(on_a_photo, across, down, times):
    picture = photo(420, 360, 20) if on_a_photo else Image.new("RGB", (420, 360), (90, 130, 60))
    box = (150, 110, 330, 270)
    picture.paste(photo(180, 160, 8), box[:2])
    picture = picture.resize((420 * times, 360 * times))
    found, edged = snap(picture, around(box, across, down) * times)
    assert found[0] == pytest.approx(np.array(box) * times, abs=4 * times)
    assert edged[0] > 0.1


def test_a_box_that_is_right_already_is_borne_out():
    picture = Image.new("RGB", (240, 240), (90, 130, 60))
    picture.paste(photo(100, 100, 8), (70, 60))
    found, edged = snap(picture, np.array([[70, 60, 170, 160]], np.float32))
    assert found[0].tolist() == [70, 60, 170, 160]
    assert edged[0] > 0.1


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGB", (300, 200), (9, 99, 200)),
        noise(300, 200, 3),
        noise(30, 20, 3).resize((300, 200), Image.Resampling.BICUBIC),
        Image.linear_gradient("L").resize((300, 200)).convert("RGB"),
    ],
    ids=["flat", "noise", "blobs", "slope"],
)
def test_where_there_is_no_border_boxes_stay(picture):
    boxes = np.array([[30.25, 40.5, 150.25, 160], [0, 0, 80, 80], [100.5, 60.2, 299.9, 200]], np.float32)
    found, edged = snap(picture, boxes)
    assert found == pytest.approx(boxes, abs=1e-3)
    assert not edged.any()


def test_one_line_across_a_picture_moves_only_the_side_beside_it():
    picture = Image.new("RGB", (300, 300), (120, 160, 220))
    picture.paste((70, 90, 40), (0, 140, 300, 300))
    found, _ = snap(picture, np.array([[60, 20, 180, 130]], np.float32))
    assert found[0].tolist() == pytest.approx([60, 20, 180, 140], abs=1)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (3000, 30), (5, 5), (3, 4), (3000, 2000)])
def test_boxes_of_a_picture_of_any_size_stay_within_it(size):
    width, height = size
    parts = np.array([[0, 0, 1, 1], [0, 0, 0.5, 0.5], [0.3, 0.3, 1, 1], [0.1, 0.2, 0.15, 0.9]], np.float32)
    found, edged = snap(noise(width, height, 1), parts * np.array(size * 2, np.float32))
    assert (found[:, 2:] > found[:, :2]).all()
    assert (found >= -1e-3).all()
    assert (found[:, 2:] <= np.array(size) * (1 + 1e-5)).all()
    assert np.isfinite(edged).all()
    assert snap(noise(width, height, 1), np.empty((0, 4), np.float32))[0].shape == (0, 4)
