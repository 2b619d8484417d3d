"""The phases of a training: weights, fit, package, evaluate, report."""

import time
from functools import partial
from pathlib import Path

from training import phases
from training.control import Control
from training.events import Events, Phase
from training.features import Embedder
from training.frozen import open_frozen, samples_of
from training.run import Report, Run, load
from training.task import Task
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.device import choose_device
from tsukiji.vision.feature_cache import FeatureCache, weights_key
from tsukiji.vision.model import build_on
from tsukiji.vision.weights import load_backbone_weights

RANDOM_WEIGHTS = "random"


def train(folder: Path, events: Events, control: Control) -> Report:
    """Run the training in `folder`; at the end it holds `package/` and `report.json`.

    Raises:
        Cancelled
        TsukijiError: why it failed.
    """
    began = time.monotonic()
    run = load(folder)
    run.check()  # fail early
    events.send(Phase(name="loading"))
    task = prepare(run, folder, events, control)
    fitted = phases.trainer(run.recipe.preset)(task)
    return phases.conclusion()(task, fitted, began)


def prepare(run: Run, folder: Path, events: Events, control: Control) -> Task:
    """Load the weights, and what computes embeddings with them.

    Raises:
        WeightsUnavailable, WeightsInvalid, BackboneUnavailable, Invalid
    """
    recipe, device = run.recipe, choose_device(run.device)
    preprocess = preprocess_of(recipe.backbone, recipe.image_size, recipe.weights)
    task = partial(Task, run=run, folder=folder, device=device, preprocess=preprocess)
    task = partial(task, events=events, control=control)
    if not recipe.pretrained:
        return task(body=None, source=RANDOM_WEIGHTS, embedder=None)
    body, source = load_backbone_weights(
        recipe.backbone, folder=run.weights_dir, download=run.download, weights=recipe.weights
    )
    # Only `quick` gains from int8: the others train a body of their own, and embed with this one once.
    samples = samples_of(run, preprocess, control.check) if recipe.preset == "quick" else None
    model = build_on(recipe.backbone, body, 1)
    engine, plan, int8 = open_frozen(model, recipe.backbone, preprocess, device, run, samples)
    kept = run.features and FeatureCache(run.features, engine.space, run.features_bytes)
    key = weights_key(recipe.backbone, recipe.image_size, run.weights_dir)
    if kept and key and recipe.preset == "quick" and recipe.weights is None:
        kept.name_space(key)
    embedder = Embedder(run, engine, preprocess, plan, kept or None, control, events, model.num_middle)
    return task(body=body, source=source, embedder=embedder, int8=int8)
