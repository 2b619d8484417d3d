"""Small pictures of three kinds, a run over them, and the engine as a worker starts it."""

import gc
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from devtools import warm_engine
from tsukiji.vision.decoding.budget import give_back

ROOT = Path(__file__).parents[2]
COLOURS = {"blue": (40, 60, 200), "green": (40, 200, 60), "red": (200, 50, 40)}
RECIPE = {"backbone": "resnet18", "pretrained": False, "image_size": 32, "epochs": 2, "batch_size": 8, "seed": 3}

MakeRun = Callable[..., Path]


@pytest.fixture(autouse=True)
def freed() -> Iterator[None]:
    """Learners refer to themselves in circles: without this a test process grows by gigabytes within a module."""
    yield
    gc.collect()
    give_back()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Noise of three colours, 12 pictures each, 8 to learn from and 4 held out, none square."""
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    found = []
    for label, colour in COLOURS.items():
        for number in range(12):
            pixels = np.clip(random.normal(colour, 40, (37 + number, 50, 3)), 0, 255).astype(np.uint8)
            path = folder / f"{label}-{number}.png"
            Image.fromarray(pixels).save(path)
            found.append(
                {
                    "path": str(path),
                    "label": label,
                    "split": "train" if number < 8 else "valid",
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                    "name": path.name,
                }
            )
    return found


@pytest.fixture
def make_run(tmp_path: Path, pictures: list[dict[str, Any]]) -> MakeRun:
    """Return a function that writes `run.json` into a new folder; its arguments replace members."""

    def make(name: str = "run", *, recipe: dict[str, Any] | None = None, **changes: Any) -> Path:
        return write_run(tmp_path / name, pictures, RECIPE | (recipe or {}), **changes)

    return make


def write_run(folder: Path, pictures: list[dict[str, Any]], recipe: dict[str, Any], **changes: Any) -> Path:
    folder.mkdir()
    run = {
        "recipe": recipe,
        "model_id": "mdl_1",
        "model_name": "colours",
        "images": pictures,
        "snapshot_sha256": "0" * 64,
        "download": False,
        "device": "cpu",
    }
    (folder / "run.json").write_text(json.dumps(run | changes))
    return folder


class Engine:
    """`python -m training` in a process of its own, with its events read as they come; `fresh`: it imports all anew."""

    def __init__(self, folder: Path, *, fresh: bool = False, **environment: str) -> None:
        start: Any = subprocess.Popen if fresh else warm_engine.Popen
        self.process = start(
            [sys.executable, "-m", "training", str(folder)],
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.events: list[dict[str, Any]] = []

    def read(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            yield self.events[-1]

    def wait_for(self, kind: str) -> dict[str, Any]:
        """Read up to the next event of a type."""
        return next(event for event in self.read() if event["type"] == kind)

    def order(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def hang_up(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def wait(self) -> int:
        """Read the rest and return the exit status."""
        for _ in self.read():
            pass
        return self.process.wait(60)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]


@pytest.fixture
def start() -> Iterator[Callable[..., Engine]]:
    """Return a function that starts the engine on a folder; what still runs at the end is killed."""
    engines: list[Engine] = []

    def begin(folder: Path, **options: Any) -> Engine:
        engines.append(Engine(folder, **options))
        return engines[-1]

    yield begin
    for engine in engines:
        close(engine)


def close(engine: Engine) -> None:
    engine.process.kill()
    engine.process.wait()
    for pipe in (engine.process.stdin, engine.process.stdout):
        if pipe and not pipe.closed:
            pipe.close()
