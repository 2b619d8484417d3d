"""Many small images in one archive: throughput, and memory of the API."""

import io
import random
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, Self

import psutil

from tsukiji import Client
from tsukiji.client import Dataset
from tsukiji.vision.decoding.decode import decode

SIDE: Final = 96
LOOK_SECONDS: Final = 0.2


def small_archive(photos: Sequence[Path], count: int, target: Path, seed: int = 0) -> Path:
    """Write an archive of `count` different crops of photos, `SIDE` pixels each, two labels."""
    chance = random.Random(seed)
    with zipfile.ZipFile(target, "w") as file:
        for start in range(0, count, per := -(-count // len(photos))):
            path = photos[start // per]
            photo = decode(path.read_bytes())
            photo.thumbnail((4 * SIDE, 4 * SIDE))
            for number in range(start, min(start + per, count)):
                left, top = chance.uniform(0, photo.width - SIDE), chance.uniform(0, photo.height - SIDE)
                part = photo.crop((round(left), round(top), round(left) + SIDE, round(top) + SIDE))
                buffer = io.BytesIO()
                part.rotate(chance.uniform(-10, 10)).save(buffer, "JPEG", quality=85)
                file.writestr(f"{'cat' if number % 3 else 'dog'}/{seed}-{number:06}.jpg", buffer.getvalue())
    return target


def measure(client: Client, archive: Path, count: int, folder: Path) -> tuple[Dataset, dict[str, Any]]:
    """Import it into a new data set; measured from the first byte sent to the end of the job."""
    dataset = client.datasets.create("many")
    with Memory(api_process(folder)) as memory:
        began = time.perf_counter()
        job = dataset.import_archive(archive).wait()
        seconds = time.perf_counter() - began
    accepted = (job.result or {}).get("accepted", 0)
    return dataset.refresh(), {
        "import_images_per_second": count / seconds,
        "import_memory_mb": memory.growth / 2**20,
        "imported": accepted,
        "import_rejected": (job.result or {}).get("rejected", 0),
    }


def api_process(folder: Path) -> psutil.Process:
    """Return the API process of the service with this data folder."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if words[1:3] == ["-m", "api"] and process.environ().get("TSUKIJI_DATA_DIR") == str(folder / "data"):
            return process
    raise RuntimeError("the API's process was not found")


class Memory:
    """Watches a process: `growth` is its peak minus its initial memory, in bytes."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self._ended = process, Event()
        self._first = self._most = process.memory_info().rss
        self._thread = Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        return self._most - self._first

    def _look(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self._most = max(self._most, self._process.memory_info().rss)
