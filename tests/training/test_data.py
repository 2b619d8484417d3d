from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastai.data.core import DataLoaders
from fastai.torch_core import set_seed

from tests.training.conftest import MakeRun
from training.data import load_data
from training.run import load
from tsukiji.vision.decoding.decode import decode
from tsukiji.vision.preprocess import Preprocess

CPU = torch.device("cpu")
PREPROCESS = Preprocess(size=32)


def loaders_of(folder: Path) -> DataLoaders:
    return load_data(load(folder), PREPROCESS, CPU)


def test_held_out_batch_is_what_serving_sees(make_run: MakeRun, pictures: list[dict[str, Any]]) -> None:
    images, labels = next(iter(loaders_of(make_run(recipe={"batch_size": 64})).valid))
    held_out = [picture for picture in pictures if picture["split"] == "valid"]
    served = PREPROCESS.to_array(
        [decode(Path(picture["path"]).read_bytes(), target_side=PREPROCESS.size) for picture in held_out]
    )
    np.testing.assert_array_equal(images.numpy(), served)
    assert [["blue", "green", "red"][label] for label in labels] == [picture["label"] for picture in held_out]


def test_a_crop_is_all_that_is_seen(make_run: MakeRun, pictures: list[dict[str, Any]]) -> None:
    box = (5, 3, 45, 35)
    images, _ = next(iter(loaders_of(make_run(images=[picture | {"crop": box} for picture in pictures])).valid))
    held_out = [Path(picture["path"]).read_bytes() for picture in pictures if picture["split"] == "valid"]
    served = PREPROCESS.to_array([decode(data, crop=box, target_side=PREPROCESS.size) for data in held_out])
    np.testing.assert_array_equal(images.numpy(), served[: len(images)])
    whole, _ = next(iter(loaders_of(make_run("whole")).valid))
    assert not np.array_equal(images.numpy(), whole.numpy())


def test_training_batches_are_whole_shuffled_and_augmented(make_run: MakeRun) -> None:
    loaders = loaders_of(make_run())
    set_seed(1)
    (first, _), *rest = list(loaders.train)
    assert [tuple(images.shape) for images, _ in [(first, 0), *rest]] == [(8, 3, 32, 32)] * 3
    again = next(iter(loaders.train))[0]
    assert not torch.equal(first, again)


def test_fewer_pictures_than_a_batch_make_one_batch(make_run: MakeRun) -> None:
    loaders = loaders_of(make_run(recipe={"batch_size": 64}))
    assert [len(labels) for _, labels in loaders.train] == [24]


def test_pictures_for_tests_are_left_out(make_run: MakeRun, pictures: list[dict[str, Any]]) -> None:
    images = [picture | {"split": "test"} if picture["label"] == "red" else picture for picture in pictures]
    loaders = loaders_of(make_run(images=images))
    assert list(loaders.vocab) == ["blue", "green"]
    assert (len(loaders.train_ds), len(loaders.valid_ds)) == (16, 8)


@pytest.mark.parametrize("flip", [True, False])
def test_flip_is_asked_for(make_run: MakeRun, flip: bool) -> None:
    loaders = loaders_of(make_run(recipe={"flip": flip}))
    assert any(type(step).__name__ == "Flip" for step in loaders.train.after_batch.fs) is flip
