"""Embeddings that are computed once and kept: of the same picture, pixels and network they are always the same.

They lie in a SQLite file of their own, which is but a cache: whatever is wrong with it, they are computed anew.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.control import Control
from training.events import Events
from training.run import Picture, Run
from tsukiji.vision.decode import DecodeLimits
from tsukiji.vision.model import Classifier
from tsukiji.vision.preprocess import Preprocess

VERSION: Final = 1
"""Of how embeddings are made; another one computes all of them anew."""
BUSY_SECONDS: Final = 15
KEPT_TYPE: Final = np.dtype("<f2")
BATCH: Final = 64
ASKED: Final = 500
DECODERS: Final = 2

Floats = NDArray[np.float32]
PLAIN: Final = 0
MIRRORED: Final = 1


@dataclass(frozen=True)
class Kept:
    """A file of embeddings. `space` names all that they depend on, beside the picture and its view."""

    path: Path
    space: str
    most_bytes: int

    def read(self, pictures: Sequence[str], view: int, width: int) -> dict[str, Floats]:
        """Return what is kept of these pictures (by `Picture.content`), each (width,)."""
        found: dict[str, Floats] = {}
        with suppress(sqlite3.Error, OSError), closing(self._open()) as file:
            for start in range(0, len(pictures), ASKED):
                asked = pictures[start : start + ASKED]
                marks = ", ".join("?" * len(asked))
                rows = file.execute(
                    f"SELECT picture, vector FROM features WHERE space = ? AND view = ? AND picture IN ({marks})",  # noqa: S608
                    (self.space, view, *asked),
                )
                found |= {
                    name: np.frombuffer(vector, KEPT_TYPE).astype(np.float32)
                    for name, vector in rows
                    if len(vector) == width * KEPT_TYPE.itemsize
                }
        return found

    def write(self, found: Mapping[str, Floats], view: int) -> None:
        """Keep embeddings; the oldest go where there are too many. What cannot be kept is computed again some day."""
        try:
            with closing(self._open()) as file, file:
                now = time.time()
                file.executemany(
                    "INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?, ?)",
                    [(self.space, name, view, row.astype(KEPT_TYPE).tobytes(), now) for name, row in found.items()],
                )
                self._trim(file)
        except (sqlite3.OperationalError, OSError):
            pass  # a full disk, a lock, a place that cannot be written
        except sqlite3.DatabaseError:  # damaged
            self.path.unlink(missing_ok=True)

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self.path, timeout=BUSY_SECONDS)
        file.execute(
            "CREATE TABLE IF NOT EXISTS features (space TEXT, picture TEXT, view INTEGER, vector BLOB, kept_at REAL,"
            " PRIMARY KEY (space, view, picture)) WITHOUT ROWID"
        )
        return file

    def _trim(self, file: sqlite3.Connection) -> None:
        pages, free, page_bytes = (
            file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * page_bytes > self.most_bytes:
            (middle,) = file.execute(
                "SELECT kept_at FROM features ORDER BY kept_at LIMIT 1 OFFSET (SELECT count(*) / 2 FROM features)"
            ).fetchone()
            file.execute("DELETE FROM features WHERE kept_at <= ?", (middle,))


def space_of(body: Mapping[str, torch.Tensor], backbone: str, preprocess: Preprocess) -> str:
    """Return a name for all that embeddings depend on beside the picture: weights, network, pixels."""
    digest = sha256(f"{VERSION} {backbone} {preprocess}".encode())
    for name, tensor in sorted(body.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Embedder:
    """Makes embeddings of a run's pictures with a frozen network, and keeps them where there is a place for it."""

    run: Run
    model: Classifier
    preprocess: Preprocess
    device: torch.device
    kept: Kept | None
    control: Control
    events: Events

    def embed(self, pictures: Sequence[Picture], views: Sequence[int] = (PLAIN,)) -> Floats:
        """Return embeddings (V, N, E) of the views of pictures; rounded to half precision where they are kept.

        Raises:
            Cancelled: that was ordered.
            BlobMissing, BlobCorrupt, ImageError: named after the picture.
        """
        names = [picture.content for picture in pictures]
        width = self.model.num_embedded
        known = {view: self.kept.read(names, view, width) if self.kept else {} for view in views}
        missing = {
            picture.content: picture
            for picture in pictures
            if any(picture.content not in known[view] for view in views)
        }
        for batch, inputs in ahead(list(missing.values()), self._fitted):
            self.control.check()
            pixels = torch.from_numpy(np.stack(inputs))
            for view in views:
                rows = self._pass(pixels.flip(3) if view == MIRRORED else pixels)
                found = {picture.content: row for picture, row in zip(batch, rows, strict=True)}
                known[view] |= found
                if self.kept:
                    self.kept.write(found, view)
            self.events.alive()
        whole: Floats = np.stack([np.stack([known[view][name] for name in names]) for view in views])
        return whole

    def _fitted(self, picture: Picture) -> Floats:
        image = picture.open(DecodeLimits(**self.run.limits), self.preprocess.size)
        pixels: Floats = self.preprocess.to_array([image])[0]
        return pixels

    @torch.inference_mode()
    def _pass(self, pixels: torch.Tensor) -> Floats:
        layout = torch.contiguous_format if self.device.type == "mps" else torch.channels_last
        rows = self.model.embed(pixels.to(self.device, memory_format=layout)).float().cpu().numpy()
        return rows.astype(KEPT_TYPE).astype(np.float32) if self.kept else rows


def ahead(
    pictures: Sequence[Picture], fitted: Callable[[Picture], Floats]
) -> Iterator[tuple[Sequence[Picture], list[Floats]]]:
    """Yield batches with their pixels; threads decode the next while the caller computes."""
    batches = [pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH)]
    with ThreadPoolExecutor(DECODERS) as pool:
        waiting = [[pool.submit(fitted, picture) for picture in batch] for batch in batches[:1]]
        for number, batch in enumerate(batches):
            if number + 1 < len(batches):
                waiting.append([pool.submit(fitted, picture) for picture in batches[number + 1]])
            yield batch, [future.result() for future in waiting.pop(0)]
