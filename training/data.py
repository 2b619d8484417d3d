"""From pictures on disk to batches on the device. Pixels come from `tsukiji.vision`, as in inference."""

import sys
from typing import Any, Final

import torch
from fastai.data.core import DataLoaders, Datasets
from fastai.data.transforms import Categorize, IntToFloatTensor, MultiCategorize, Normalize, OneHotEncode, ToTensor
from fastai.torch_core import default_device
from fastai.vision.augment import Resize, aug_transforms
from fastai.vision.core import PILImage
from fasttransform import Transform

from training.run import Picture, Run
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.preprocess import Preprocess

WORKER_BATCHES: Final = 4
"""Batches of an epoch from which decoding in processes of its own is worth their start."""


class Open(Transform):
    """Opens a picture as RGB, at least as large as training needs it."""

    def __init__(self, limits: DecodeLimits, target_side: int) -> None:
        self.limits, self.target_side = limits, target_side
        super().__init__()

    def encodes(self, picture: Picture) -> Any:
        return PILImage(picture.open(self.limits, self.target_side))


class Fit(Transform):
    """Preprocesses held-out images exactly as inference does."""

    split_idx = 1

    def __init__(self, preprocess: Preprocess) -> None:
        self.preprocess = preprocess
        super().__init__()

    def encodes(self, image: PILImage) -> Any:
        return PILImage(self.preprocess.fit(image))


def _label_of(picture: Picture) -> str:
    return picture.label


def _labels_of(picture: Picture) -> Any:  # fastai's transforms do not support `list[str]`
    return picture.labels


def targets_of(run: Run) -> list[Any]:
    """Return the transforms from a picture to its target: its class, or (C,) with a one for each of its labels."""
    if run.kind == "multi_label":
        return [_labels_of, MultiCategorize(vocab=run.label_names), OneHotEncode]
    return [_label_of, Categorize(vocab=run.label_names, sort=False)]


def load_data(run: Run, preprocess: Preprocess, device: torch.device) -> DataLoaders:
    """Return fastai's loaders of the train and valid images, labels numbered as in `run.label_names`.

    Training images are cropped at random by fastai's default `Resize` and augmented by its `aug_transforms`.

    Raises:
        DatasetTooSmall: a split has no images.
    """
    recipe, train, valid = run.recipe, run.of_split("train"), run.of_split("valid")
    use_device(device)
    opening = Open(DecodeLimits(**run.limits), preprocess.size)
    crop = Resize(preprocess.size)
    crop.split_idx = 0  # training images only
    stats = Normalize.from_stats(preprocess.mean, preprocess.std)
    # fastai starts the decoding processes again for every epoch: a second each time, on two cores.
    long_enough = len(train) >= WORKER_BATCHES * recipe.batch_size
    augmented = [IntToFloatTensor, *aug_transforms(do_flip=recipe.flip), stats]
    # fastai's affine transforms run on held-out images too: an identity resampling, which changes the sixth digit.
    plain = [IntToFloatTensor, stats]
    return Datasets(run.images, [[opening], targets_of(run)], splits=(train, valid)).dataloaders(
        bs=min(recipe.batch_size, len(train)),  # otherwise fastai would drop the only, incomplete batch
        after_item=[crop, Fit(preprocess), ToTensor],
        dl_kwargs=[{"after_batch": augmented}, {"after_batch": plain}],
        num_workers=run.workers if sys.platform == "linux" and long_enough else 0,  # else they cost more than they gain
        device=device,
    )


def use_device(device: torch.device) -> None:
    """Set fastai's default device, which some of its transforms and callbacks use."""
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    default_device(device.type != "cpu")
