"""What can be wrong with a picture as a photo, in numbers."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from tsukiji.vision.quality import measure


@pytest.fixture(scope="module")
def photo():
    noise = np.random.default_rng(0).integers(0, 256, (75, 100, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((500, 375), Image.Resampling.BICUBIC)


def test_blur_makes_edges_flat_whatever_the_contrast(photo):
    blurred = photo.filter(ImageFilter.GaussianBlur(12))
    assert measure(blurred).blurry < 0.3 < measure(photo).blurry
    assert measure(ImageEnhance.Contrast(photo).enhance(0.5)).blurry > 0.3


def test_size_makes_no_difference(photo):
    small, large = measure(photo.resize((250, 188))), measure(photo.resize((1000, 750)))
    assert small.dark == pytest.approx(large.dark, abs=0.05)
    assert small.low_information == pytest.approx(large.low_information, abs=0.05)


def test_brightness(photo):
    assert measure(ImageEnhance.Brightness(photo).enhance(0.2)).dark < 0.32 < measure(photo).dark
    assert measure(Image.new("RGB", (50, 50), (252, 252, 252))).light < 0.05 < measure(photo).light


def test_colour(photo):
    assert measure(photo.convert("L").convert("RGB")).grayscale == 0
    assert measure(photo).grayscale > 0.1


def test_information(photo):
    assert measure(Image.new("RGB", (50, 50), (9, 99, 199))).low_information == 0
    assert measure(photo).low_information > 0.7


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2, 2), (4, 4)])
def test_the_smallest_pictures_have_measures(size):
    found = measure(Image.new("RGB", size, (9, 99, 199)))
    assert all(0 <= value <= 1 for value in vars(found).values())
