"""The order of a training: weights, fit, package, evaluate, report."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training import export, recipes
from training.control import Control
from training.evaluate import Embed, evaluate, suspect
from training.events import Events
from training.features import Embedder, frozen
from training.run import PACKAGE_FOLDER, REPORT_FILE, Picture, Report, Run, draft_of, load
from tsukiji.types import Preset
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.device import choose_device
from tsukiji.vision.kept import CLOSE, MIRRORED, PLAIN, Kept, space_of
from tsukiji.vision.plan import best_precision
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.weights import load_backbone_weights

RANDOM_WEIGHTS = "random"
QUICK: Preset = "quick"


def train(folder: Path, events: Events, control: Control) -> Report:
    """Run the training in `folder`; at the end it holds `package/` and `report.json`.

    Raises:
        Cancelled: that was ordered.
        TsukijiError: why it could not be done.
    """
    began = time.monotonic()
    run = load(folder)
    run.check()  # before anything is spent
    events.send("phase", name="loading")
    task = prepare(run, folder, events, control)
    fitted = recipes.train(task)
    package = folder / PACKAGE_FOLDER
    events.send("phase", name="exporting")
    export.write_package(package, run, fitted, task.preprocess)
    events.send("phase", name="evaluating")
    predictor = Predictor.load(package, run.device, run.recipe.batch_size)
    own = task.embedder if run.recipe.preset == QUICK else None
    own = own or Embedder(run, predictor.model, task.preprocess, task.device, None, control, events)
    findings = evaluate(predictor, run, lambda pictures: own.embed(pictures)[0])
    found = suspect(run, several_views(task.embedder or own, mirror=run.recipe.flip))
    export.add_evaluation(package, run, fitted, findings)
    export.add_examples(package, run)
    report = Report(
        metrics=findings.metrics,
        items=findings.items,
        suspects=found,
        history=fitted.history,
        epoch=fitted.epoch,
        finished_early=len(fitted.history) < run.recipe.epochs,
        learning_rate=fitted.learning_rate,
        weights_source=fitted.source,
        seconds=round(time.monotonic() - began, 3),
        device=_name(task.device),
        versions=export.versions(run),
    )
    with draft_of(folder / REPORT_FILE) as draft:
        draft.write_text(report.model_dump_json(), encoding="utf-8")
    return report


def prepare(run: Run, folder: Path, events: Events, control: Control) -> recipes.Task:
    """Find the weights, and what makes embeddings with them.

    Raises:
        WeightsUnavailable, WeightsInvalid, BackboneUnavailable, Invalid
    """
    recipe, device = run.recipe, choose_device(run.device)
    preprocess = preprocess_of(recipe.backbone, recipe.image_size, recipe.weights)
    task = partial(recipes.Task, run=run, folder=folder, device=device, preprocess=preprocess)
    task = partial(task, events=events, control=control)
    if not recipe.pretrained:
        return task(body=None, source=RANDOM_WEIGHTS, embedder=None)
    body, source = load_backbone_weights(
        recipe.backbone, folder=run.weights_dir, download=run.download, weights=recipe.weights
    )
    precision = best_precision(device)
    space = space_of(body, recipe.backbone, preprocess, precision)
    kept = run.features and Kept(run.features, space, run.features_bytes)
    model = frozen(recipe.backbone, body, device, precision)
    embedder = Embedder(run, model, preprocess, device, kept or None, control, events)
    return task(body=body, source=source, embedder=embedder)


def several_views(embedder: Embedder, *, mirror: bool) -> Embed:
    """Return a function to the mean embeddings of pictures at two scales, the larger mirrored, too, where it may be."""
    views = (PLAIN, MIRRORED, CLOSE) if mirror else (PLAIN, CLOSE)

    def embed(pictures: Sequence[Picture]) -> NDArray[np.float32]:
        found = embedder.embed(pictures, views)
        mean: NDArray[np.float32] = (found[:-1].mean(axis=0) + found[-1]) / 2
        return mean

    return embed


def _name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
