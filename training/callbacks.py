"""fastai callbacks: cancellation, progress, checkpoints, seeds.

Epochs are counted from 1 in everything the engine reports; fastai's own `epoch` counts from 0.
"""

import random
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.torch_core import set_seed

from training import checkpoints, events
from training.control import Control
from training.events import Events
from training.training_state import TrainingState
from tsukiji.errors import NanLoss, TrainingCrashed
from tsukiji.types import EpochMetrics

EVENT_SECONDS: Final = 0.5
VALID_COST: Final = 0.5
"""Cost of a batch without a backward pass relative to one with; used until an epoch has been measured."""

CHECKPOINT_SECONDS: Final = 2.0
"""Shorter epochs share a checkpoint: repeating them costs less than saving each."""


class Reseed(Callback):
    """Seeds every epoch from (seed, epoch), so that a resumed run equals an undisturbed one."""

    order = -20

    def __init__(self, seed: int, training_state: TrainingState) -> None:
        self._seed, self._training_state = seed, training_state

    def before_epoch(self) -> None:
        epoch = self._training_state.before + self.epoch
        number = int(np.random.SeedSequence([self._seed, epoch]).generate_state(1)[0])
        set_seed(number, reproducible=True)
        self.dls.train.rng = random.Random(number)  # noqa: S311 — only shuffles pictures


class HandleCommands(Callback):
    """Stops within a batch on request, or when the loss is not finite."""

    order = -5

    def __init__(self, control: Control, training_state: TrainingState) -> None:
        self._control, self._training_state = control, training_state

    def before_epoch(self) -> None:
        if self._control.finishing and self._training_state.history:
            raise CancelFitException

    def after_batch(self) -> None:
        if self._control.cancelling or (self._control.finishing and self.training):
            raise CancelFitException
        if self.training and not torch.isfinite(self.loss):
            raise NanLoss(
                f"The loss became {float(self.loss)} in epoch {self._training_state.before + self.epoch + 1}."
            )


class CancelSearch(Callback):
    """Sends keep-alives and stops on cancellation while no epochs are reported (learning rate search)."""

    def __init__(self, control: Control, events: Events) -> None:
        self._control, self._events = control, events

    def after_batch(self) -> None:
        if self._control.cancelling:
            raise CancelFitException  # not our own error: fastai's search then removes its temporary file
        self._events.alive()


class StopWhenWorse(Callback):
    """Early stopping: ends the training after this many epochs in a row without improvement."""

    order = 70  # after Checkpoint

    def __init__(self, training_state: TrainingState, patience: int) -> None:
        self._training_state, self._patience = training_state, patience

    def after_epoch(self) -> None:
        history = self._training_state.history
        best = min(range(len(history)), key=lambda number: history[number].valid_loss)
        if len(history) - 1 - best >= self._patience:
            raise CancelFitException


class CheckBatches(Callback):
    """Checks that every batch arrives: a decoding process that cannot deliver one ends without an error."""

    def before_train(self) -> None:
        self._seen = 0

    before_validate = before_train

    def after_batch(self) -> None:
        self._seen += 1

    def after_train(self) -> None:
        if self._seen != self.n_iter:
            raise TrainingCrashed(
                f"{self._seen} of {self.n_iter} batches arrived in epoch {self.epoch + 1}.",
                hint="Check the worker's log for errors of the decoding processes; TSUKIJI_TRAINING_WORKERS=0 uses "
                "none.",
            )

    after_validate = after_train


class ReportProgress(Callback):
    """Sends progress every half second and the metrics of each epoch, and records them in `history`."""

    order = 55  # after fastai's Recorder

    def __init__(self, events: Events, training_state: TrainingState) -> None:
        self._events, self._training_state = events, training_state
        self._began = self._sent = 0.0

    def before_train(self) -> None:
        self._began = time.monotonic()

    def after_batch(self) -> None:
        now = time.monotonic()
        if not self.training:
            self._events.alive()
            return
        if now - self._sent < EVENT_SECONDS:
            return
        self._sent = now
        self._events.send(
            events.Progress(
                epoch=self._training_state.before + self.epoch + 1,
                epochs=self._training_state.epochs,
                batch=self.iter + 1,
                batches=self.n_iter,
                loss=float(self.smooth_loss),
                eta_seconds=round(self._eta(now - self._began), 1),
            )
        )

    def after_epoch(self) -> None:
        epoch = self._training_state.before + self.epoch + 1
        if epoch <= len(self._training_state.history):  # finished by an earlier attempt
            return
        train_loss, valid_loss, accuracy, *further = map(float, self.recorder.final_record)
        if not np.isfinite(valid_loss):
            raise NanLoss(f"The loss on the held-out images became {valid_loss} in epoch {epoch}.")
        metrics = EpochMetrics(
            epoch=epoch,
            train_loss=train_loss,
            valid_loss=valid_loss,
            accuracy=accuracy,
            mean_average_precision=further[0] if further and np.isfinite(further[0]) else None,
            seconds=round(time.monotonic() - self._began, 3),
        )
        self._training_state.history.append(metrics)
        self._events.send(events.Epoch(**metrics.model_dump()))

    def _eta(self, elapsed: float) -> float:
        """Estimate the seconds to the end, from this stage's epochs so far, or the batches of its first.

        Package and evaluation, after the last epoch, count as one more.
        """
        done = self._training_state.history[self._training_state.before :]
        if done:
            epoch_seconds = sum(metrics.seconds for metrics in done) / len(done)
        else:
            batches = int(self.n_iter) + VALID_COST * len(self.dls.valid)
            epoch_seconds = elapsed / int(self.iter + 1) * batches
        left = self._training_state.epochs - self._training_state.before - int(self.epoch)
        return max(0.0, epoch_seconds - elapsed) + epoch_seconds * left


class Checkpoint(Callback):
    """Saves after each epoch, and restores what fastai resets when a fit starts."""

    order = 60  # after Tell

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        events: Events,
        training_state: TrainingState,
        state: dict[str, Any] | None,
    ) -> None:
        self._folder, self._fingerprint, self._events, self._training_state = (
            folder,
            fingerprint,
            events,
            training_state,
        )
        self._state = state
        self._done = len(training_state.history)
        self._saved = 0.0

    def before_epoch(self) -> None:
        if not self._state:
            return
        smooth = self._state["smooth_loss"]
        self.recorder.smooth_loss.count, self.recorder.smooth_loss.val = smooth["count"], torch.tensor(smooth["val"])
        if self._state["scaler"]:
            self.learn.scaler.load_state_dict(self._state["scaler"])
        self._state = None

    def after_epoch(self) -> None:
        training_state = self._training_state
        if len(training_state.history) == self._done:
            return
        self._done = len(training_state.history)
        if checkpoints.ranked(training_state.history)[0].epoch == self._done:
            training_state.best = (
                self._done,
                {name: tensor.clone() for name, tensor in self.learn.model.state_dict().items()},
            )
        if time.monotonic() - self._saved < CHECKPOINT_SECONDS and self._done < training_state.epochs:
            return
        path = checkpoints.path_of(self._folder, self._done)
        checkpoints.save(path, self.learn, training_state, self._fingerprint)
        checkpoints.prune(self._folder, self._done)
        self._saved = time.monotonic()
        self._events.send(events.Checkpoint(epoch=self._done, path=path))
