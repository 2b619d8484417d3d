"""From trained weights to a model package (`tsukiji/vision/package.py`). Knows no fastai."""

import platform
import shutil
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from safetensors.torch import save_file

import tsukiji
from training.card import write_card
from training.fit import Fitted
from training.run import Run
from tsukiji.types import EpochMetrics, Metrics, Split
from tsukiji.vision import package
from tsukiji.vision.model import build, load_fastai_state
from tsukiji.vision.package import Calibration, ModelConfig, Part
from tsukiji.vision.preprocess import Preprocess


class EvaluationPart(Part):
    """`evaluation.json`: how good the model is, and on what that was measured."""

    snapshot_sha256: str
    seed: int
    split: Split
    images: dict[str, int]
    """Of the snapshot, per split."""
    epoch: int
    history: list[EpochMetrics]
    metrics: Metrics


def versions() -> dict[str, str]:
    """Return what has a say in the numbers, by name."""
    libraries = ("fastai", "torch", "torchvision", "pillow")
    ours = {"tsukiji": tsukiji.__version__, "python": platform.python_version()}
    return ours | {name: version(name) for name in libraries}


def write_package(folder: Path, run: Run, fitted: Fitted, preprocess: Preprocess) -> None:
    """Write a package that can be loaded; nothing is known yet about how good it is."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    recipe, label_names = run.recipe, run.label_names
    tensors = {name: tensor.cpu().contiguous() for name, tensor in load_fastai_state(fitted.weights).items()}
    save_file(tensors, folder / package.WEIGHTS)
    config = ModelConfig(
        architecture=recipe.backbone,
        num_classes=len(label_names),
        num_features=build(recipe.backbone, len(label_names)).num_features,
        label_names=label_names,
        pretrained=recipe.pretrained,
    )
    package.write_part(folder, package.CONFIG, config)
    package.write_part(folder, package.PREPROCESS, preprocess)
    package.write_part(folder, package.CALIBRATION, Calibration())
    _seal(folder, run)


def add_evaluation(folder: Path, run: Run, fitted: Fitted, metrics: Metrics) -> None:
    """Add the evaluation and the model card, and seal the package anew."""
    evaluation = EvaluationPart(
        snapshot_sha256=run.snapshot_sha256,
        seed=run.recipe.seed,
        split="valid",
        images=dict(Counter(picture.split for picture in run.images)),
        epoch=fitted.epoch,
        history=fitted.history,
        metrics=metrics,
    )
    package.write_part(folder, package.EVALUATION, evaluation)
    (folder / package.CARD).write_text(write_card(run, metrics, fitted.source), encoding="utf-8")
    _seal(folder, run)


def _seal(folder: Path, run: Run) -> None:
    package.seal(folder, model_id=run.model_id, created=datetime.now(UTC), versions=versions())
