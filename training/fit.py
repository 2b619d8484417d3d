"""Runs a learner through the epochs of a run, stage by stage, resuming an earlier attempt."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from fastai.callback import schedule  # noqa: F401 — adds `fit_one_cycle` to Learner
from fastai.learner import Learner
from fastai.losses import BaseLoss, BCEWithLogitsLossFlat, CrossEntropyLossFlat

from training import checkpoints
from training.callbacks import CheckBatches, Checkpoint, HandleCommands, ReportProgress, Reseed, StopWhenWorse
from training.control import Control
from training.events import Events, Log, Phase
from training.run import CHECKPOINT_FOLDER, Run
from training.targets import weights_of
from training.training_state import TrainingState, Weights
from tsukiji.errors import BlobCorrupt
from tsukiji.types import EpochMetrics


@dataclass(frozen=True)
class Stage:
    """One `fit_one_cycle`; `options` are those of fastai's function, `unfrozen` also trains the body."""

    epochs: int
    learning_rate: float | slice
    unfrozen: bool = False
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Fit:
    """One attempt at one run.

    Attributes:
        keep_best: return the best epoch's weights even if the training was not ended early.
        patience: epochs in a row without improvement after which the training ends; None disables early stopping.
    """

    run: Run
    folder: Path
    device: torch.device
    events: Events
    control: Control
    keep_best: bool = False
    patience: int | None = None

    def __post_init__(self) -> None:
        self.training_state = TrainingState(self.run.recipe.epochs)
        self._fingerprint = checkpoints.fingerprint_of(self.run)
        self._checkpoints = self.folder / CHECKPOINT_FOLDER
        self._state = self._load()

    @property
    def done(self) -> int:
        """Return the number of finished epochs, of all attempts."""
        return len(self.training_state.history)

    def train(self, learner: Learner, stages: Sequence[Stage]) -> tuple[Weights, int]:
        """Run the stages; return the weights to keep, under the learner's names, and their epoch.

        Raises:
            Cancelled
            TsukijiError: a picture cannot be read, or the loss is not finite.
        """
        learner.loss_func = loss_of(self.run, self.device)
        if self._state and self.done >= self.training_state.epochs:
            learner.model.load_state_dict(self._state["model"])
        self.control.check()
        self.events.send(Phase(name="training"))
        for stage in stages:
            if self.done < self.training_state.before + stage.epochs and not self._is_over():
                self._run_stage(learner, stage)
            self.training_state.before += stage.epochs
        self.control.check()
        best = self.training_state.best
        if best and (self.keep_best or self.done < self.training_state.epochs):
            return best[1], best[0]
        return learner.model.state_dict(), self.done

    def _load(self) -> dict[str, Any] | None:
        """Read the checkpoint `run.resume` if there is one, and restore its history."""
        if self.run.resume is None:
            return None
        try:
            state = checkpoints.load(self.run.resume, self._fingerprint, self.device)
        except BlobCorrupt as error:
            self.events.send(Log(message=f"Starting from the beginning. {error.detail}"))
            return None
        self.training_state.history += [EpochMetrics(**metrics) for metrics in state["history"]]
        self.training_state.learning_rate = state["learning_rate"]
        self.training_state.best = tuple(state["best"]) if state["best"] else (self.done, state["model"])
        here = checkpoints.path_of(self._checkpoints, self.done)
        if here.absolute() != self.run.resume.absolute():
            here.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.run.resume, here)
        return state

    def _is_over(self) -> bool:
        """Return whether the training ended early, by request or by early stopping."""
        if self.control.finishing and self.done:
            return True
        best = self.training_state.best
        return self.patience is not None and best is not None and self.done - best[0] >= self.patience

    def _run_stage(self, learner: Learner, stage: Stage) -> None:
        training_state, within, state = self.training_state, self.done - self.training_state.before, self._state
        self._state = None
        if state:
            learner.model.load_state_dict(state["model"])
        if stage.unfrozen:
            learner.unfreeze()
        if state and within:
            checkpoints.restore(learner, state)
        callbacks = [
            Reseed(self.run.recipe.seed, training_state),
            HandleCommands(self.control, training_state),
            CheckBatches(),
            ReportProgress(self.events, training_state),
            Checkpoint(self._checkpoints, self._fingerprint, self.events, training_state, state if within else None),
        ]
        if self.patience is not None:
            callbacks.append(StopWhenWorse(training_state, self.patience))
        with learner.no_logging():
            learner.fit_one_cycle(
                stage.epochs, lr_max=stage.learning_rate, cbs=callbacks, start_epoch=within, **stage.options
            )


def loss_of(run: Run, device: torch.device) -> BaseLoss:
    """Return cross-entropy, or binary cross-entropy of each label, with the recipe's class weights."""
    found = weights_of(run)
    weights = None if found is None else torch.from_numpy(found).to(device)
    if run.kind == "multi_label":
        return BCEWithLogitsLossFlat(weight=weights, flatten=False)
    return CrossEntropyLossFlat(weight=weights)
