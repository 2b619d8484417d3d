"""Our side: complete trainings by the engine, from `run.json` to package and report."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.teaching.lessons import Lesson
from training.control import Control
from training.events import Events
from training.job import train
from training.run import RUN_FILE, Picture, Report, Run
from tsukiji.types import Kind, Recipe
from tsukiji.vision.backbones import backbone_of, find_weights


@dataclass(frozen=True)
class Trained:
    seconds: float
    report: Report
    folder: Path

    @property
    def accuracy(self) -> float:
        return self.report.metrics.accuracy


@dataclass(frozen=True)
class School:
    """Where trainings are done: `weights` is the weights folder, `features` keep what they share."""

    folder: Path
    weights: Path | None
    unknown: Sequence[Picture] = ()
    image_size: int = 96
    kind: Kind = "single_label"
    backbone: str = "resnet34"

    @property
    def pretrained(self) -> bool:
        return find_weights(backbone_of(self.backbone), self.weights) is not None

    def train(self, lesson: Lesson, seed: int, kept: str, **recipe: Any) -> Trained:
        """Run one training with the default recipe but for what is given; `kept` names the kept features it may use."""
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        wanted = {"backbone": self.backbone, "image_size": self.image_size, "seed": seed, "pretrained": self.pretrained}
        wanted |= recipe
        run = Run(
            recipe=Recipe(**wanted),
            kind=self.kind,
            model_id="mdl_bench",
            model_name=lesson.name,
            images=lesson.pictures,
            unknown=list(self.unknown),
            snapshot_sha256=lesson.sha256,
            weights_dir=self.weights,
            download=False,
            workers=2,  # as the service has it, and as fastai chooses on two cores
            features=self.folder / f"{kept}.db",
        )
        (folder / RUN_FILE).write_text(run.model_dump_json())
        with (folder / "events.jsonl").open("wb") as stream:
            began = time.perf_counter()
            report = train(folder, Events(stream.fileno()), Control())
            return Trained(time.perf_counter() - began, report, folder)

    def forget(self, kept: str) -> None:
        """Delete kept features."""
        (self.folder / f"{kept}.db").unlink(missing_ok=True)
