"""What every preset needs of a training. Knows no fastai."""

from dataclasses import dataclass
from pathlib import Path

import torch

from training.control import Control
from training.events import Events
from training.features import Embedder
from training.run import Run
from training.training_state import Weights
from tsukiji.vision.preprocess import Preprocess


@dataclass(frozen=True)
class Task:
    """A run with all that was prepared for it; `body` is what `load_backbone_weights` gave, None for random weights."""

    run: Run
    folder: Path
    device: torch.device
    preprocess: Preprocess
    body: Weights | None
    source: str
    embedder: Embedder | None
    """With the pretrained body; None without one."""
    events: Events
    control: Control


def rate_of(run: Run) -> float:
    return run.recipe.learning_rate or 1e-3
