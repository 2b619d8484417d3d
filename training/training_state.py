"""How far a training is, and what came of it. Knows no fastai."""

from dataclasses import dataclass, field

import torch

from tsukiji.types import EpochMetrics
from tsukiji.vision.shapes import Head

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Fitted:
    """A trained network's weights in our names, and how it came to be; `epoch` as in `Report`."""

    weights: Weights
    history: list[EpochMetrics]
    epoch: int
    source: str
    learning_rate: float
    head: Head = "fastai_concat_v1"


@dataclass
class Course:
    """A training may have stages, each a fit of fastai's own; its epochs are counted through all of them."""

    epochs: int
    """Of all stages together."""
    history: list[EpochMetrics] = field(default_factory=list)
    """Grows by one with each epoch."""
    before: int = 0
    """Epochs of the stages before this one."""
    best: tuple[int, Weights] | None = None
    """The epoch with the lowest loss on the held-out images so far, and its weights."""
    learning_rate: float | None = None
    """What a search found; it must be the same when another attempt goes on."""
