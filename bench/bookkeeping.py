"""Shared by the benchmarks of the job system: programs, and rows and blobs as the API makes them, without HTTP.

The network has random weights, which makes no difference to its speed.
"""

import io
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from PIL import Image
from safetensors.torch import save_file

from bench.faulting.programs import STOP_SECONDS, Program, send
from db import blobs, registry
from db.jobs import batches, jobs
from db.models import Model
from tsukiji.ids import new_id
from tsukiji.jobs import JobKind
from tsukiji.kernel.settings import (
    BrokerSettings,
    DatabaseSettings,
    DataSettings,
    InferenceSettings,
    JobSettings,
    Settings,
)
from tsukiji.vision import package
from tsukiji.vision.model import build
from tsukiji.vision.preprocess import Preprocess
from worker.services import Services

LABELS: Final = ["even", "odd"]
PICTURE: Final = (300, 240)
GRAIN: Final = 8


def settings_of(folder: Path, places: dict[str, str], chunk_images: int = 64) -> Settings:
    """Return settings for these places (`TSUKIJI_..._URL`), with a chunk size that does not depend on the machine.

    Everything else has its default, except that the feature cache is off: the same pictures are used repeatedly.
    """
    return Settings(
        data=DataSettings(dir=folder),
        database=DatabaseSettings(url=places.get("TSUKIJI_DATABASE_URL")),
        broker=BrokerSettings(url=places.get("TSUKIJI_BROKER_URL")),
        jobs=JobSettings(chunk_images=chunk_images, chunk_seconds=60),
        inference=InferenceSettings(features_mb=0),
    )


def make_pictures(count: int) -> list[bytes]:
    """Return JPEG files, all different, that cost about as much to decode as small photos: smooth shapes with noise."""
    random = np.random.default_rng(0)
    width, height = PICTURE
    files = []
    for _ in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize(PICTURE, Image.Resampling.BICUBIC))
        grain = random.normal(0, GRAIN, (height, width, 3))
        file = io.BytesIO()
        Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def add_model(services: Services, backbone: str, side: int) -> Model:
    """Seal and register a package of a fresh network for pictures of `side` pixels."""
    network = build(backbone, len(LABELS))
    row = Model(
        id=new_id("mdl"), name="bench", backbone=backbone, label_names=LABELS, recipe={}, accuracy=None, bytes=1
    )
    with TemporaryDirectory() as place:
        folder = Path(place)
        save_file(network.state_dict(), folder / package.WEIGHTS)
        config = package.ModelConfig(
            architecture=backbone,
            num_classes=len(LABELS),
            num_features=network.num_features,
            label_names=LABELS,
            pretrained=False,
        )
        package.write_part(folder, package.CONFIG, config)
        package.write_part(folder, package.PREPROCESS, Preprocess(size=side))
        package.write_part(folder, package.CALIBRATION, package.Calibration())
        package.seal(folder, model_id=row.id, created=datetime.now(UTC), versions={})
        files = {path.name: services.store.put(path) for path in folder.iterdir()}
    with services.database.transaction() as session:
        registry.add_model(session, row, {name: (blob.sha256, blob.size) for name, blob in files.items()})
    return row


def store(services: Services, pictures: Sequence[bytes]) -> list[str]:
    """Store pictures; returns their hashes."""
    kept = [services.store.put(data) for data in pictures]
    with services.database.transaction() as session:
        blobs.keep(session, [(blob.sha256, blob.size) for blob in kept])
    return [blob.sha256 for blob in kept]


def add_batch(services: Services, model: Model, hashes: Sequence[str | None], images: int) -> tuple[str, list[str]]:
    """Insert a batch of this many images, cycling through the pictures; returns the ids of the job and its chunks.

    A hash of None is a file that is no picture: such an image costs only bookkeeping.
    """
    request = {"model": model.id, "label_names": LABELS, "top_k": 2, "threshold": 0, "input": {"type": "files"}}
    items = [
        {"custom_id": f"{number:06}.jpg", "sha256": sha256, "error": None if sha256 else {"code": "not_an_image"}}
        for number, sha256 in ((number, hashes[number % len(hashes)]) for number in range(images))
    ]
    settings = services.settings.jobs
    attempts = settings.max_attempts
    with services.database.transaction() as session:
        columns = {"model_id": model.id, "unit": "images"}
        job = jobs.create(session, JobKind.BATCH, request=request, max_attempts=attempts, **columns)
        batches.add_items(session, job.id, items)
        return job.id, batches.finish_plan(session, job, images, settings.chunk_images, attempts)


def environment_of(settings: Settings, **more: str) -> dict[str, str]:
    """Return the environment of a program: its places, and further variables with the prefix `TSUKIJI_`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TSUKIJI_")}
    own = {
        "DATA_DIR": str(settings.data.dir),
        "DATABASE_URL": settings.database_url,
        "BROKER_URL": settings.broker_url,
        "INFERENCE_FEATURES_MB": str(settings.inference.features_mb),
        "LOG_FORMAT": "json",
        **more,
    }
    return inherited | {f"TSUKIJI_{name}": value for name, value in own.items()}


@contextmanager
def running(programs: Sequence[Program]) -> Iterator[None]:
    """Start programs, and stop them gracefully."""
    try:
        for program in programs:
            program.start()
        yield
    finally:
        for program in programs:
            program.thaw()
            send(signal.SIGTERM, program.tree[-1:])  # the program itself, which stops its children
        deadline = time.monotonic() + STOP_SECONDS
        for program in programs:
            program.stop(deadline)


def read_log(program: Program) -> list[dict[str, Any]]:
    """Return the events logged by a program so far, without an incomplete last line."""
    lines = program.log.read_text("utf-8").split("\n")[:-1] if program.log.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{")]
