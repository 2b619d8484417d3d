"""How far a training is."""

from dataclasses import dataclass, field

import torch

from tsukiji.types import EpochMetrics

Weights = dict[str, torch.Tensor]


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
