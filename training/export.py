"""From trained weights to a model package (`tsukiji/vision/package.py`). Knows no fastai."""

import platform
import shutil
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from safetensors.torch import save_file

import tsukiji
from training.evaluate import Findings
from training.model_card import write_card
from training.run import Run
from training.training_state import Fitted
from tsukiji.types import EpochMetrics, Metrics, Split
from tsukiji.types.batches import MIN_KNOWN
from tsukiji.vision import package
from tsukiji.vision.backbones import backbone_of
from tsukiji.vision.decoding.decode import DecodeLimits, decode
from tsukiji.vision.out_of_distribution import save as save_known
from tsukiji.vision.package import Calibration, Example, Examples, KnownFacts, ModelConfig, Part
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.shapes import architecture_of

EXAMPLE_IMAGES: Final = 5


class EvaluationPart(Part):
    """`evaluation.json`: how good the model is, and on what that was measured."""

    snapshot_sha256: str
    seed: int
    split: Split
    images: dict[str, int]
    """Of the snapshot, per split."""
    recipe: dict[str, Any]
    epoch: int
    history: list[EpochMetrics]
    metrics: Metrics


def versions(run: Run) -> dict[str, str]:
    """Return the versions of everything that affects the numbers, by name."""
    libraries = ["fastai", "torch", "torchvision", "pillow"]
    if backbone_of(run.recipe.backbone).library == "timm" and find_spec("timm"):  # `quick` may run without timm
        libraries.append("timm")
    ours = {"tsukiji": tsukiji.__version__, "python": platform.python_version()}
    return ours | {name: version(name) for name in libraries}


def write_package(folder: Path, run: Run, fitted: Fitted, preprocess: Preprocess) -> None:
    """Write a loadable package, not yet evaluated."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    recipe, label_names = run.recipe, run.label_names
    tensors = {name: tensor.cpu().contiguous() for name, tensor in fitted.weights.items()}
    save_file(tensors, folder / package.WEIGHTS)
    config = ModelConfig(
        architecture=recipe.backbone,
        num_classes=len(label_names),
        num_features=architecture_of(recipe.backbone).num_features,
        kind=run.kind,
        label_names=label_names,
        head=fitted.head,
        pretrained=recipe.pretrained,
    )
    package.write_part(folder, package.CONFIG, config)
    package.write_part(folder, package.PREPROCESS, preprocess)
    package.write_part(folder, package.CALIBRATION, Calibration())
    _seal(folder, run)


def add_evaluation(folder: Path, run: Run, fitted: Fitted, findings: Findings) -> None:
    """Add calibration, statistics for "none of these", evaluation and model card, and seal the package again."""
    metrics, facts = findings.metrics, KnownFacts(method="mahalanobis", min_known=MIN_KNOWN)
    calibration = Calibration(
        temperature=findings.temperature,
        thresholds=findings.thresholds,
        known=facts,
        execution=metrics.execution,
    )
    package.write_part(folder, package.CALIBRATION, calibration)
    save_known(findings.known, folder / package.KNOWN)
    package.write_part(folder, package.HELD_OUT, findings.held_out)
    evaluation = EvaluationPart(
        snapshot_sha256=run.snapshot_sha256,
        seed=run.recipe.seed,
        split="valid",
        images=dict(Counter(picture.split for picture in run.images)),
        recipe=run.recipe.model_dump(mode="json"),
        epoch=fitted.epoch,
        history=fitted.history,
        metrics=metrics,
    )
    package.write_part(folder, package.EVALUATION, evaluation)
    (folder / package.CARD).write_text(write_card(run, metrics, fitted.source), encoding="utf-8")
    _seal(folder, run)


def add_examples(folder: Path, run: Run, count: int = EXAMPLE_IMAGES) -> None:
    """Add up to `count` held-out images as preprocessed, with the model's answers, for a self-test; seal again.

    Call when weights and calibration are final. Each is a PNG of the preprocessed square, which preprocessing leaves
    unchanged; the answers are computed from the stored file, on the CPU, so that they can be reproduced anywhere.

    Raises:
        DatasetTooSmall: the run has no held-out images.
        PackageInvalid: the package is not sealed.
    """
    predictor = Predictor.load(folder, "cpu")
    preprocess, limits = predictor.preprocess, DecodeLimits(**run.limits)
    chosen = [run.images[index] for index in _one_of_each(run, count)]
    names = [f"example-{number}.png" for number in range(1, len(chosen) + 1)]
    for name, picture in zip(names, chosen, strict=True):
        preprocess.fit(picture.open(limits, preprocess.size)).save(folder / name)
    answers = predictor.predict([decode((folder / name).read_bytes()) for name in names])
    several = run.kind == "multi_label"
    examples = [
        Example(
            file=name,
            true_label=None if several else picture.label,
            true_labels=picture.labels if several else None,
            label=predictor.label_names[int(row.argmax())],
            probabilities=[float(value) for value in row],
        )
        for name, picture, row in zip(names, chosen, answers, strict=True)
    ]
    package.write_part(folder, package.EXAMPLES, Examples(examples=examples))
    _seal(folder, run)


def _one_of_each(run: Run, count: int) -> list[int]:
    """Return indices of held-out images: the first of each label, then the second of each, and so on."""
    held_out, seen = run.of_split("valid"), Counter[str]()
    ranks = {}
    for index in held_out:
        label = run.images[index].label
        ranks[index] = seen[label]
        seen[label] += 1
    return sorted(held_out, key=lambda index: (ranks[index], index))[:count]


def _seal(folder: Path, run: Run) -> None:
    package.seal(folder, model_id=run.model_id, created=datetime.now(UTC), versions=versions(run))
