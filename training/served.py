"""The engine and precision that a model is evaluated in, and then served: the fastest that is as good as float32."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.events import Log
from training.features import Embedder
from training.frozen import calibrate, samples_of
from training.metrics import fit_temperature, losses
from training.multilabel_metrics import cross_decided, fit_set_temperature, set_losses
from training.run import Run
from training.targets import classes_of, sets_of
from training.task import Task
from tsukiji.significance import mcnemar
from tsukiji.vision import package
from tsukiji.vision.engines.opening import open_engine
from tsukiji.vision.engines.selection import Choice, pick
from tsukiji.vision.execution_plan import fastest
from tsukiji.vision.predictor import Predictor, load_model, sigmoid, softmax

CALIBRATED_ON: Final = 300
"""Most training images that a body of its own is calibrated on."""
MOST_LOST: Final = 0.005
"""Of the accuracy on held-out images."""
MOST_LOSS: Final = 1.05
"""Cross-entropy in proportion to float32's, each at its own temperature: it grows with unreliable probabilities."""
SIGNIFICANT: Final = 0.05


@dataclass(frozen=True)
class Judged:
    """Held-out images: which are right, (N,), and their mean loss."""

    right: NDArray[np.bool_]
    loss: float

    def as_good_as(self, exact: "Judged") -> bool:
        """Return whether accuracy and loss are those of float32, as far as the images can tell."""
        worse, better = int((exact.right & ~self.right).sum()), int((self.right & ~exact.right).sum())
        lost = (worse - better) / len(self.right)
        chance = worse <= better or mcnemar(worse, better) >= SIGNIFICANT
        return lost <= MOST_LOST and chance and self.loss <= MOST_LOSS * exact.loss + 1e-3  # false for NaN


def choose_embedder(task: Task, folder: Path, predictor: Predictor) -> Embedder:
    """Return what computes embeddings with a trained network, as it will be served.

    Not in float32 where this machine is faster otherwise, and the held-out images show no loss. A body in int8 becomes
    a file of the package in `folder`, which is sealed later.

    Raises:
        Cancelled
        TsukijiError: a picture cannot be read.
    """
    run = task.run
    if run.cache is None:
        return embedder_of(task, folder, ("torch", "float32"))
    exact = embedder_of(task, folder, pick(task.device, run.engine, "float32", run.cache))
    expected = None
    for choice in faster(task, folder):
        lowered = embedder_of(task, folder, choice)
        expected = expected or judge(run, predictor, exact)
        if judge(run, predictor, lowered).as_good_as(expected):
            return lowered
        task.events.send(Log(message=f"{choice[1]} is less accurate on the held-out images, and is not used"))
    (folder / package.INT8).unlink(missing_ok=True)
    return exact


def faster(task: Task, folder: Path) -> Iterator[Choice]:
    """Yield what this machine computes faster than float32, fastest first; int8 once the body is quantised."""
    run = task.run
    assert run.cache is not None
    choice = pick(task.device, run.engine, run.precision, run.cache)
    if choice[1] == "int8":
        config, samples = package.read_config(folder), samples_of(run, task.preprocess, task.control.check)
        model, file = load_model(folder, config).eval(), folder / package.INT8
        if calibrate(model, config.architecture, task.preprocess, samples, CALIBRATED_ON, file):
            yield choice
            file.unlink()
        choice = pick(task.device, run.engine, run.precision, run.cache, int8=False)
    if choice[1] != "float32":
        yield choice


def embedder_of(task: Task, folder: Path, choice: Choice) -> Embedder:
    run, config = task.run, package.read_config(folder)
    plan = fastest(task.device, *choice, task.preprocess.size, run.threads)
    model = load_model(folder, config).eval()
    engine = open_engine(model, config.architecture, task.preprocess, plan, None, folder / package.INT8)
    return Embedder(run, engine, task.preprocess, plan, None, task.control, task.events, model.num_middle)


def judge(run: Run, predictor: Predictor, embedder: Embedder) -> Judged:
    """Return how good the network is on the held-out images with these embeddings."""
    indices = run.of_split("valid")
    logits = predictor.decide(embedder.embed([run.images[index] for index in indices]))
    if not np.isfinite(logits).all():
        return Judged(np.zeros(len(indices), np.bool_), np.nan)
    if run.kind == "single_label":
        classes = classes_of(run, indices)
        probabilities = softmax(logits / np.float32(fit_temperature(logits, classes)))
        return Judged(probabilities.argmax(axis=1) == classes, float(losses(classes, probabilities).mean()))
    sets = sets_of(run, indices)
    probabilities = sigmoid(logits / np.float32(fit_set_temperature(logits, sets)))
    right = (cross_decided(sets, probabilities) == sets).all(axis=1)
    return Judged(right, float(set_losses(sets, probabilities).mean()))
