"""The peer: a fastai notebook with the same pictures, split and weights."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from fastai.vision.all import (
    CategoryBlock,
    DataBlock,
    DataLoaders,
    ImageBlock,
    IndexSplitter,
    Learner,
    Normalize,
    Resize,
    accuracy,
    aug_transforms,
    set_seed,
    vision_learner,
)
from torchvision import models

from bench.teaching.lessons import Lesson
from tsukiji.vision.backbones import Backbone

EPOCHS = 10
BATCH_SIZE = 64


@dataclass(frozen=True)
class Taught:
    seconds: float
    accuracy: float


def teach(lesson: Lesson, backbone: Backbone, body: dict[str, torch.Tensor] | None, size: int, seed: int) -> Taught:
    """Train the last layers of a network for ten epochs, from the loaders to the held-out predictions."""
    began = time.perf_counter()
    set_seed(seed, reproducible=True)
    learner = make_learner(load(lesson, backbone, size), backbone, body)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(EPOCHS)
        _, accurate = learner.validate()
    return Taught(time.perf_counter() - began, float(accurate))


def load(lesson: Lesson, backbone: Backbone, size: int) -> DataLoaders:
    held_out = [number for number, picture in enumerate(lesson.pictures) if picture.split == "valid"]
    weights = backbone.pretrained()
    labels = {picture.path: picture.label for picture in lesson.pictures}
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=lambda _: list(labels),
        get_y=lambda path: labels[Path(path)],
        splitter=IndexSplitter(held_out),
        item_tfms=Resize(size),
        batch_tfms=[*aug_transforms(), Normalize.from_stats(weights.mean, weights.std)],
    )
    return block.dataloaders(None, bs=min(BATCH_SIZE, len(lesson.of_split("train"))))


def make_learner(loaders: DataLoaders, backbone: Backbone, body: dict[str, torch.Tensor] | None) -> Learner:
    """Return `vision_learner` with a frozen body; fastai itself would download the weights."""
    timm = backbone.library == "timm"
    network = backbone.network if timm else getattr(models, backbone.network)
    # The loaders normalise; `normalize` is for the constants of timm's own weights.
    learner = vision_learner(loaders, network, pretrained=False, normalize=False, metrics=accuracy)
    if body is not None and timm:
        learner.model[0].model.load_state_dict(body)
        learner.freeze()
    elif body is not None:
        values = iter(body.values())
        learner.model[0].load_state_dict({name: next(values) for name in learner.model[0].state_dict()})
        learner.freeze()
    learner.model.to(memory_format=torch.channels_last)  # a sixth faster on CPUs
    return learner
