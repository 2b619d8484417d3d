"""Stages, the best epoch, early ends and resuming, with a network whose losses on held-out images are set by hand."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy

from tests.training.conftest import MakeRun
from training import callbacks, checkpoints
from training.control import Cancelled, Control
from training.events import Events
from training.fit import Fit, Stage, loss_of
from training.run import Run, load
from training.training_state import TrainingState, Weights
from tsukiji.errors import NanLoss

CPU = torch.device("cpu")
BAD, GOOD, BETTER, BEST = 0.5, 1.0, 2.0, 3.0
"""Scales of a network that is right whatever they are: the larger, the lower its loss."""

Begin = Callable[..., "Attempt"]


class Scripted(Callback):
    """Gives the network its weights at the end of each epoch, and an order after one."""

    order = 40  # before the epoch's metrics are taken down

    def __init__(
        self, training_state: TrainingState, scales: Sequence[float], control: Control, orders: dict[int, str]
    ) -> None:
        self._training_state, self._scales, self._control, self._orders = training_state, scales, control, orders
        self.epochs: list[int] = []

    def before_validate(self) -> None:
        done = len(self._training_state.history)
        self.epochs.append(done + 1)
        with torch.no_grad():
            self.learn.model.weight.copy_(self._scales[done] * torch.eye(3))

    def after_validate(self) -> None:
        if order := self._orders.get(len(self._training_state.history) + 1):
            self._control.obey(order)


class Attempt:
    """One fit of the scripted network: what was kept of it, and which epochs it ran."""

    def __init__(
        self, run: Run, folder: Path, events: Events, scales: Sequence[float], orders: dict[int, str], **options: Any
    ) -> None:
        control = Control()
        self.fit = Fit(run, folder, CPU, events, control, **options)
        rows = list(zip(torch.eye(3).repeat(4, 1), torch.arange(3).repeat(4), strict=True))
        loaders = DataLoaders(DataLoader(rows, bs=6, shuffle=True), DataLoader(rows, bs=12), device=CPU)
        self.script = Scripted(self.fit.training_state, scales, control, orders)
        network = torch.nn.Linear(3, 3, bias=False)
        self.learner = Learner(loaders, network, CrossEntropyLossFlat(), metrics=accuracy, cbs=self.script)
        self.learner.remove_cbs(ProgressCallback)

    def train(self, *stages: int) -> tuple[float, int]:
        """Return the scale that was kept, and the epoch."""
        weights, epoch = self.fit.train(self.learner, [Stage(epochs, 1e-7) for epochs in stages])
        return scale_of(weights), epoch


def scale_of(weights: Weights) -> float:
    return round(float(weights["weight"][0, 0]), 3)


@pytest.fixture
def events(tmp_path: Path) -> Iterator[Events]:
    descriptor = os.open(tmp_path / "events", os.O_CREAT | os.O_WRONLY)
    yield Events(descriptor)
    os.close(descriptor)


@pytest.fixture
def begin(make_run: MakeRun, events: Events, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Return a function that opens an attempt; it saves and keeps every epoch."""
    monkeypatch.setattr(callbacks, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(checkpoints, "KEPT", 100)

    def start(
        scales: Sequence[float], name: str = "run", orders: dict[int, str] | None = None, **options: Any
    ) -> Attempt:
        run_options = {"resume": options.pop("resume")} if "resume" in options else {}
        recipe = {"epochs": len(scales)} | options.pop("recipe", {})
        folder = make_run(name, recipe=recipe, **run_options)
        return Attempt(load(folder), folder, events, scales, orders or {}, **options)

    return start


def checkpoint(attempt: Attempt, epoch: int) -> str:
    return str(checkpoints.path_of(attempt.fit.folder / "checkpoints", epoch))


def test_epochs_are_counted_through_all_stages(begin: Begin) -> None:
    attempt = begin([BAD, GOOD, BETTER])
    assert attempt.train(1, 2) == (BETTER, 3)
    assert attempt.script.epochs == [1, 2, 3]
    history = attempt.fit.training_state.history
    assert [epoch.epoch for epoch in history] == [1, 2, 3]
    assert history[0].valid_loss > history[1].valid_loss > history[2].valid_loss


def test_the_last_epoch_is_kept_unless_the_best_is_asked_for(begin: Begin) -> None:
    assert begin([GOOD, BEST, BETTER], "last").train(3) == (BETTER, 3)
    assert begin([GOOD, BEST, BETTER], "best", keep_best=True).train(3) == (BEST, 2)


def test_finish_keeps_the_best_so_far(begin: Begin) -> None:
    attempt = begin([BEST, GOOD, GOOD, GOOD], orders={2: "finish"})
    assert attempt.train(4) == (BEST, 1)
    assert attempt.script.epochs == [1, 2]


def test_finish_in_the_first_stage_starts_no_other(begin: Begin) -> None:
    attempt = begin([GOOD, BETTER, BEST], orders={1: "finish"})
    assert attempt.train(1, 2) == (GOOD, 1)
    assert attempt.script.epochs == [1]


def test_cancel_keeps_nothing(begin: Begin) -> None:
    with pytest.raises(Cancelled):
        begin([GOOD, BETTER, BEST], orders={2: "cancel"}).train(1, 2)


def test_epochs_that_get_no_better_end_the_training(begin: Begin) -> None:
    attempt = begin([GOOD, BEST, BAD, GOOD, BETTER, BETTER, BETTER], keep_best=True, patience=3)
    assert attempt.train(1, 6) == (BEST, 2)
    assert attempt.script.epochs == [1, 2, 3, 4, 5]


def test_patience_counts_from_the_best_epoch(begin: Begin) -> None:
    attempt = begin([GOOD, BAD, BETTER, BAD, BEST, BAD], keep_best=True, patience=2)
    assert attempt.train(6) == (BEST, 5)
    assert len(attempt.script.epochs) == 6


@pytest.mark.parametrize("done", [1, 2, 3])
def test_another_attempt_goes_on_in_the_stage_where_the_first_stopped(begin: Begin, done: int) -> None:
    scales = [BAD, GOOD, BETTER, BEST]
    first = begin(scales, "first")
    first.train(2, 2)
    second = begin(scales, "second", resume=checkpoint(first, done))
    assert second.train(2, 2) == (BEST, 4)
    assert second.script.epochs == list(range(done + 1, 5))
    losses = [[epoch.valid_loss for epoch in attempt.fit.training_state.history] for attempt in (first, second)]
    assert losses[0] == pytest.approx(losses[1])


def test_the_best_epoch_of_an_earlier_attempt_is_not_forgotten(begin: Begin) -> None:
    scales = [BEST, GOOD, GOOD, GOOD]
    first = begin(scales, "first", keep_best=True)
    first.train(1, 3)
    second = begin(scales, "second", keep_best=True, resume=checkpoint(first, 3))
    assert second.train(1, 3) == (BEST, 1)
    assert second.script.epochs == [4]


def test_an_attempt_after_the_early_end_trains_no_further(begin: Begin) -> None:
    scales = [BEST, BAD, BAD, BAD, BAD, BAD]
    first = begin(scales, "first", keep_best=True, patience=2)
    first.train(1, 5)
    second = begin(scales, "second", keep_best=True, patience=2, resume=checkpoint(first, 3))
    assert second.train(1, 5) == (BEST, 1)
    assert second.script.epochs == []


def test_a_finished_training_whose_worker_died_is_not_trained_again(begin: Begin) -> None:
    first = begin([GOOD, BETTER], "first")
    first.train(2)
    second = begin([GOOD, BETTER], "second", resume=checkpoint(first, 2))
    assert second.train(2) == (BETTER, 2)
    assert second.script.epochs == []


def test_what_a_search_found_goes_along(begin: Begin) -> None:
    first = begin([GOOD, BETTER], "first")
    first.fit.training_state.learning_rate = 0.0042
    first.train(2)
    assert begin([GOOD, BETTER], "second", resume=checkpoint(first, 1)).fit.training_state.learning_rate == 0.0042


def test_a_loss_that_is_no_number_fails_with_the_epoch(begin: Begin) -> None:
    with pytest.raises(NanLoss, match="epoch 2"):
        begin([GOOD, float("nan"), GOOD]).train(1, 2)


def weights_of(make_run: MakeRun, pictures: list[dict[str, Any]], counts: dict[str, int], wish: str) -> list[float]:
    """The class weights of a training with these numbers of images; empty for equal weights."""
    images = []
    for label, count in counts.items():
        own = [picture for picture in pictures if picture["label"] == label and picture["split"] == "train"]
        images += own[:count] + [picture for picture in pictures if picture["label"] == label][-2:]
    weights = loss_of(load(make_run(recipe={"class_weights": wish}, images=images)), CPU).func.weight
    return [] if weights is None else weights.tolist()


UNEVEN = {"blue": 8, "green": 2, "red": 2}
MILD = {"blue": 8, "green": 4, "red": 4}


@pytest.mark.parametrize(
    ("wish", "counts", "expected"),
    [
        ("auto", UNEVEN, [0.5, 2.0, 2.0]),
        ("auto", MILD, []),
        ("balanced", MILD, [2 / 3, 4 / 3, 4 / 3]),
        ("none", UNEVEN, []),
    ],
)
def test_rare_classes_weigh_more_where_that_is_asked_for(
    make_run: MakeRun, pictures: list[dict[str, Any]], wish: str, counts: dict[str, int], expected: list[float]
) -> None:
    assert weights_of(make_run, pictures, counts, wish) == pytest.approx(expected)
