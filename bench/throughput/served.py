"""A service with a trained model, and its programs."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

import psutil

from bench.throughput import photos
from bench.throughput.stage import Stage
from tsukiji import Batch, Client
from tsukiji.cli.embedded import service
from tsukiji.vision.backbones import backbone_of

WARM_UP: Final = 64
SEEDS: Final = 8
"""Models tried to get a precision."""


@dataclass(frozen=True)
class Served:
    client: Client
    url: str
    key: str
    model: str
    """Its id."""
    folder: Path
    supervisor: psutil.Process
    precision: str
    """In which the service runs the model: after the parity check, which single pictures may decide."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def programs(self) -> dict[str, psutil.Process]:
        """By name: `api`, `infer`, `intake`, `train`, `dispatcher`."""
        return {name_of(process): process for process in self.supervisor.children()}

    def package(self) -> Path:
        """Fetch the model's package, as a folder."""
        folder = self.folder / "package"
        if not folder.exists():
            with ZipFile(self.client.models.download(self.model, self.folder / "package.zip")) as archive:
                archive.extractall(folder)
        return folder

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Let all programs of the service stand still, so that a peer has the machine to itself."""
        processes = [self.supervisor, *self.supervisor.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()


@contextmanager
def serve(stage: Stage, recipe: dict[str, Any] | None = None) -> Iterator[Served]:
    """Start a service, train a model in it, and classify a few photos: all is warm.

    Raises:
        RuntimeError: no model may compute in this precision.
    """
    folder = stage.folder("service")
    os.environ.setdefault("TSUKIJI_INFERENCE_PRECISION", "auto")  # that of `tsukiji demo` is float32
    with service(folder) as client:
        model, precision = prepare(client, stage, recipe or recipe_of(stage))
        told = json.loads((folder / "announced.json").read_text())
        supervisor = next(child for child in psutil.Process().children() if "up" in child.cmdline())
        yield Served(client, told["url"], told["api_key"], model, folder, supervisor, precision)


def prepare(client: Client, stage: Stage, recipe: dict[str, Any], first_seed: int = 0) -> tuple[str, str]:
    """Train models with one seed after the other until one computes in this precision; returns its id and precision.

    Raises:
        RuntimeError: none does.
    """
    for seed in range(first_seed, first_seed + SEEDS):
        model = train(client, stage, recipe | {"seed": seed})
        classify(client, model, images=stage.fresh(f"warm-up-{seed}", WARM_UP))
        precision = str((next(iter(client.batches.list())).engine or {})["precision"])
        if stage.precision in {None, precision}:
            return model, precision
    raise RuntimeError(f"{SEEDS} models in a row answer otherwise in {stage.precision}; the last is run in {precision}")


def recipe_of(stage: Stage, **changes: Any) -> dict[str, Any]:
    """Return how to have a model in a few seconds: a head on the frozen body; without weights, a random network."""
    packaged = any(each.package and each.package.path for each in backbone_of(stage.backbone).weights)
    there = stage.weights or packaged
    recipe = {"preset": "quick"} if there else {"epochs": 1, "pretrained": False, "batch_size": 8}
    return {**recipe, "backbone": stage.backbone, "image_size": stage.image_size, **changes}


def train(client: Client, stage: Stage, recipe: dict[str, Any]) -> str:
    """Train a model on some of the photos; returns its id."""
    dataset = client.datasets.create("lesson", exist_ok=True)
    if not dataset.images:
        dataset.upload(photos.teach(stage.photos, stage.folder("lesson"), stage.taught))
    model = client.trainings.create(dataset, recipe).wait().model
    if model is None:
        raise RuntimeError("the training made no model")
    return model.id


def classify(client: Client, model: str, **what: Any) -> float:
    """Classify what `batches.create` takes, and read all results; returns the seconds of all that.

    Raises:
        RuntimeError: an image was not classified.
    """
    began = time.perf_counter()
    batch = client.batches.create(model=model, **what).wait()
    done = sum(result.status == "succeeded" for result in batch.results())
    taken = time.perf_counter() - began
    check(batch, done)
    return taken


def check(batch: Batch, done: int) -> None:
    wanted = int(batch.progress.total or 0)
    if done != wanted or not wanted:
        raise RuntimeError(f"{done} of {wanted} images were classified")


def name_of(process: psutil.Process) -> str:
    """Return what a program of the service is: the word after `-m`, or after `worker`."""
    words: Sequence[str] = process.cmdline()
    module = words[words.index("-m") + 1]
    return words[words.index("-m") + 2] if module == "worker" else module
