"""Progress and result of a training. Knows no fastai."""

from dataclasses import dataclass, field

import torch

from tsukiji.types import EpochMetrics
from tsukiji.vision.shapes import Head

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Fitted:
    """A trained network's weights under our names, and how they were trained; `epoch` as in `Report`."""

    weights: Weights
    history: list[EpochMetrics]
    epoch: int
    source: str
    learning_rate: float
    head: Head = "fastai_concat_v1"
    penalty: float | None = None
    """Of a linear probe, see `training.probe`."""


@dataclass
class TrainingState:
    """A training may have stages, each a `fit` of fastai; epochs are counted across all of them."""

    epochs: int
    """Of all stages together."""
    history: list[EpochMetrics] = field(default_factory=list)
    """Grows by one with each epoch."""
    before: int = 0
    """Epochs of earlier stages."""
    best: tuple[int, Weights] | None = None
    """The epoch with the lowest loss on the held-out images so far, and its weights."""
    learning_rate: float | None = None
    """Found by a search; another attempt must reuse it."""
