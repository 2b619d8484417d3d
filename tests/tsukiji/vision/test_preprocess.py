import json

import numpy as np
import pytest
import torch
from fastai.vision.augment import Resize
from fastai.vision.core import PILImage
from fastai.vision.learner import imagenet_stats
from PIL import Image
from pydantic import ValidationError

from tests.tsukiji.vision.pictures import noise
from tsukiji.errors import PackageInvalid
from tsukiji.vision.preprocess import Preprocess

SIZES = [(224, 224), (640, 480), (480, 640), (333, 517), (517, 333), (37, 29), (5, 900), (901, 4), (8, 8), (225, 223)]
SIDES = [32, 64, 97, 224]


def by_fastai(image, side, method):
    resized = Resize(side, method=method)(PILImage.create(np.asarray(image)), split_idx=1)
    return np.asarray(resized)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("method", ["crop", "squish"])
def test_pixels_are_those_of_fastai(size, side, method):
    image = noise(*size)
    assert np.array_equal(np.asarray(Preprocess(side, method).fit(image)), by_fastai(image, side, method))


def test_pixels_are_those_of_fastai_where_floats_lose_one():
    def lost(extent):
        return int(extent / 97 * 97) != extent

    extents = [extent for extent in range(97, 1500) if lost(extent)][:10]
    assert extents
    for extent in extents:
        image = noise(extent + 50, extent)
        assert np.array_equal(np.asarray(Preprocess(97).fit(image)), by_fastai(image, 97, "crop"))


def test_the_array_is_what_fastai_normalises():
    images = [noise(90, 70, 1), noise(70, 90, 2)]
    array = Preprocess(64).to_array(images)
    mean, std = (torch.tensor(stats).view(1, 3, 1, 1) for stats in imagenet_stats)
    pixels = torch.stack([torch.from_numpy(by_fastai(image, 64, "crop").copy()).permute(2, 0, 1) for image in images])
    assert (array.dtype, array.shape, array.flags.c_contiguous) == (np.float32, (2, 3, 64, 64), True)
    assert np.allclose(array, ((pixels.float() / 255 - mean) / std).numpy(), atol=1e-6)


def test_no_images_make_an_empty_array():
    assert Preprocess(32).to_array([]).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("size", [(64, 64), (100, 50), (50, 100), (1, 400), (400, 1), (3, 5)])
def test_padding_keeps_all_of_the_picture(size):
    fitted = Preprocess(64, "pad").fit(Image.new("RGB", size, (10, 200, 30)))
    assert fitted.getcolors() == [(64 * 64, (10, 200, 30))]


def test_padding_mirrors_the_picture():
    image = Image.new("RGB", (64, 32), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 64, 4))
    fitted = Preprocess(64, "pad").fit(image)
    assert [fitted.getpixel((5, y)) for y in (8, 14, 18, 25, 60)] == [
        (0, 0, 255),
        (255, 0, 0),
        (255, 0, 0),
        (0, 0, 255),
        (0, 0, 255),
    ]


def test_it_survives_json():
    made = Preprocess(97, "pad", "bicubic", (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    assert Preprocess.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert Preprocess.from_dict({"size": 64}) == Preprocess(64)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"size": 0},
        {"size": 64, "gamma": 2.2},
        {"size": 64, "resize": "stretch"},
        {"size": 64, "std": [1, 1, 0]},
        {"size": 64, "mean": [1, 1]},
        {"size": 64, "mean": [float("nan"), 0, 0]},
    ],
)
def test_what_would_change_the_pixels_unseen_is_refused(values):
    with pytest.raises(PackageInvalid, match="preprocessing"):
        Preprocess.from_dict(values)


def test_nonsense_is_refused_at_once():
    with pytest.raises(ValidationError):
        Preprocess(size=-1)
