"""The preset `quick`: a linear classifier on features of the frozen body. Knows no fastai."""

import time

import numpy as np
import torch

from training.events import Epoch, Log, Phase
from training.probe import Floats, Linear, Problem, fit
from training.run import Run
from training.targets import Sets, sets_of, weights_of
from training.task import Task, rate_of
from training.training_state import Fitted, Weights
from tsukiji.types import EpochMetrics, Split
from tsukiji.vision.model import Classifier, build_on


def quick(task: Task) -> Fitted:
    """Learn from embeddings of the frozen body; each iteration counts as an epoch: it sees all training images once.

    There are no checkpoints: features are cached, and the rest takes seconds and is deterministic.

    Raises:
        Cancelled
        TsukijiError: a picture cannot be read.
    """
    run, control = task.run, task.control
    assert task.embedder is not None, "types.Recipe refuses `quick` without pretrained weights"
    assert task.body is not None
    task.events.send(Phase(name="computing features"))
    model = build_on(run.recipe.backbone, task.body, len(run.label_names), "linear_v1")
    learnt, held_out = (_features(task, model, split) for split in ("train", "valid"))
    control.check()
    task.events.send(Phase(name="training"))
    problem, judged = _problem(run, learnt, "train"), _problem(run, held_out, "valid")
    history: list[EpochMetrics] = []
    last = time.monotonic()

    def after(linear: Linear) -> bool:
        nonlocal last
        control.check()
        history.append(_metrics(len(history) + 1, linear, problem, judged, time.monotonic() - last))
        last = time.monotonic()
        task.events.send(Epoch(**history[-1].model_dump()))
        return not control.finishing

    linear, penalty = fit(problem, 0 if control.finishing else run.recipe.epochs, after)
    control.check()
    task.events.send(Log(message=f"L2 penalty {penalty:g}, by cross-validation"))
    model.head.load_state_dict(_head(linear))
    return Fitted(model.state_dict(), history, len(history), task.source, rate_of(run), "linear_v1", penalty)


def _features(task: Task, model: Classifier, split: Split) -> Floats:
    """Return the means of the last maps (N, num_features): adding the maxima did not improve accuracy."""
    assert task.embedder is not None
    pictures = [task.run.images[index] for index in task.run.of_split(split)]
    means: Floats = task.embedder.embed(pictures)[:, model.num_middle + model.num_features :]
    return means


def _problem(run: Run, features: Floats, split: Split) -> Problem:
    return Problem(features, sets_of(run, run.of_split(split)), run.kind == "single_label", weights_of(run))


def _metrics(epoch: int, linear: Linear, learnt: Problem, judged: Problem, seconds: float) -> EpochMetrics:
    logits = linear.logits(judged.features)
    return EpochMetrics(
        epoch=epoch,
        train_loss=float(learnt.losses(linear.logits(learnt.features))[0].mean()),
        valid_loss=float(judged.losses(logits)[0].mean()),
        accuracy=float(_right(logits, judged).mean()),
        mean_average_precision=None if judged.exclusive else _mean_average_precision(judged, logits),
        seconds=round(seconds, 3),
    )


def _mean_average_precision(judged: Problem, logits: Floats) -> float | None:
    from training.multilabel_metrics import mean_average_precision  # noqa: PLC0415 - scikit-learn takes 1.4 s to import

    return mean_average_precision(judged.sets, logits)


def _right(logits: Floats, judged: Problem) -> Sets:
    """Return which predictions are right: (N,) for one class each, or (N, C) for each label at 0.5."""
    if judged.exclusive:
        return np.asarray(judged.sets[np.arange(len(logits)), logits.argmax(axis=1)])
    return np.asarray((logits > 0) == judged.sets)


def _head(linear: Linear) -> Weights:
    """Return the classifier as the state of a linear head on (maxima, means); maxima have zero weight."""
    weights = np.concatenate([np.zeros_like(linear.weights), linear.weights]).T
    return {
        "2.weight": torch.from_numpy(np.ascontiguousarray(weights, np.float32)),
        "2.bias": torch.from_numpy(linear.biases.astype(np.float32)),
    }
