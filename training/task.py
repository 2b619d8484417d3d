"""Input of every preset. Knows no fastai."""

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
    """A run with everything prepared for it; `body` comes from `load_backbone_weights`, None for random weights."""

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
    int8: Path | None = None
    """File of the pretrained body in int8, if `embedder` computes so."""


def rate_of(run: Run) -> float:
    return run.recipe.learning_rate or 1e-3
