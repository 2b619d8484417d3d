"""From a recipe to trained weights, by fastai. Knows no package and no report."""

import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from fastai.callback import schedule  # noqa: F401 — adds `fit_one_cycle` to Learner
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.progress import ProgressCallback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.torch_core import set_seed
from fastai.vision.learner import create_body, model_meta, vision_learner
from torch import nn
from torchvision import models

from training import checkpoints
from training.callbacks import Checkpoint, Count, Obey, Reseed, Tell
from training.control import Control
from training.data import load_data
from training.events import Events
from training.run import CHECKPOINT_FOLDER, Run
from tsukiji.errors import BlobCorrupt
from tsukiji.types import EpochMetrics, Recipe
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.weights import load_backbone_weights

RANDOM_WEIGHTS: Final = "random"
Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Fitted:
    """A trained network's weights in fastai's names, and how it came to be; `epoch` as in `Report`."""

    weights: Weights
    history: list[EpochMetrics]
    epoch: int
    source: str


@dataclass
class Fit:
    """One attempt at one run; `history` grows by one with each epoch."""

    run: Run
    folder: Path
    device: torch.device
    events: Events
    control: Control
    history: list[EpochMetrics] = field(default_factory=list)

    def train(self, preprocess: Preprocess) -> Fitted:
        """Train as the recipe says, going on from the checkpoint `run.resume` if there is one.

        Raises:
            Cancelled: that was ordered.
            TsukijiError: too small a data set, weights that cannot be had, a picture that cannot be read, a loss that
                is no number.
        """
        self.events.send("phase", name="loading")
        body, source = self._first_weights()
        set_seed(self.run.recipe.seed, reproducible=True)
        learner = build_learner(self.run.recipe, load_data(self.run, preprocess, self.device), body)
        state = self._resume(learner)
        self.control.check()
        self.events.send("phase", name="training")
        self._run_epochs(learner, state)
        self.control.check()
        weights, epoch = self._choose(learner)
        return Fitted(weights, self.history, epoch, source)

    @property
    def _checkpoints(self) -> Path:
        return self.folder / CHECKPOINT_FOLDER

    @property
    def _fingerprint(self) -> str:
        return checkpoints.fingerprint_of(self.run)

    def _first_weights(self) -> tuple[Weights | None, str]:
        if not self.run.recipe.pretrained:
            return None, RANDOM_WEIGHTS
        return load_backbone_weights(self.run.recipe.backbone, folder=self.run.weights_dir, download=self.run.download)

    def _resume(self, learner: Learner) -> dict[str, Any] | None:
        """Put a checkpoint's state into the learner and `history`; return what the callbacks put back later."""
        if self.run.resume is None:
            return None
        try:
            state = checkpoints.load(self.run.resume, self._fingerprint, self.device)
        except BlobCorrupt as error:
            self.events.send("log", message=f"Starting anew. {error.detail}")
            return None
        checkpoints.restore(learner, state)
        self.history += [EpochMetrics(**metrics) for metrics in state["history"]]
        here = checkpoints.path_of(self._checkpoints, len(self.history))
        if here.absolute() != self.run.resume.absolute():
            here.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.run.resume, here)
        return state

    def _run_epochs(self, learner: Learner, state: dict[str, Any] | None) -> None:
        recipe, done = self.run.recipe, len(self.history)
        if done >= recipe.epochs:
            return
        callbacks = [
            Reseed(recipe.seed),
            Obey(self.control, self.history),
            Count(),
            Tell(self.events, self.history),
            Checkpoint(self._checkpoints, self._fingerprint, self.events, self.history, state),
        ]
        with learner.no_logging():
            learner.fit_one_cycle(recipe.epochs, lr_max=recipe.learning_rate, cbs=callbacks, start_epoch=done)

    def _choose(self, learner: Learner) -> tuple[Weights, int]:
        """The last epoch's weights; where the training was finished early, the best epoch's."""
        done = len(self.history)
        if done < self.run.recipe.epochs:
            for metrics in checkpoints.ranked(self.history):
                path = checkpoints.path_of(self._checkpoints, metrics.epoch)
                with suppress(BlobCorrupt):  # this attempt may have been given the newest alone
                    return checkpoints.load(path, self._fingerprint, self.device)["model"], metrics.epoch
        return learner.model.state_dict(), done


def build_learner(recipe: Recipe, loaders: DataLoaders, body: Weights | None) -> Learner:
    """Return fastai's `vision_learner`; with `body`, a torchvision state dict without `fc`, pretrained and frozen.

    Built without weights first, since fastai itself would download them.
    """
    architecture = getattr(models, recipe.backbone)
    learner = vision_learner(loaders, architecture, pretrained=False, normalize=False, metrics=accuracy)
    learner.remove_cbs(ProgressCallback)
    if loaders.device.type == "cuda":
        learner.add_cb(MixedPrecision())
    if body is not None:
        backbone = architecture(weights=None)
        backbone.fc = nn.Identity()
        backbone.load_state_dict(body)
        learner.model[0].load_state_dict(create_body(backbone, cut=model_meta[architecture]["cut"]).state_dict())
        learner.freeze()
    return learner
