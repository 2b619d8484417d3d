"""Cache of embeddings: for the same pixels and network they are always the same.

Shared by trainings and batches, in a SQLite file of its own. Any fault of the file only means computing them again.
"""

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from tsukiji.types import Box
from tsukiji.vision.backbones import backbone_of, find_weights, preprocess_of
from tsukiji.vision.preprocess import Preprocess

if TYPE_CHECKING:
    from torch import Tensor

VERSION: Final = 5
"""Of computation and storage; another version computes everything again."""
BUSY_SECONDS: Final = 15
KEPT_TYPE: Final = np.dtype("<f2")
ASKED: Final = 5000
ROWS: Final = "SELECT picture, vector, width, height FROM embeddings WHERE space = ? AND view = ? AND picture IN ({})"
PLAIN: Final = 0
COMPACT: Final = 4
"""The compact embedding, for comparing many pictures (`training.random_projection`)."""
REGION: Final = 5
"""The box that the network responds to (`training.crop_regions`)."""

Floats = NDArray[np.float32]
Size = tuple[int, int]
"""Width and height of the uploaded picture, in pixels."""


@dataclass(frozen=True)
class FeatureCache:
    """A file of embeddings. `space` identifies everything they depend on beside the picture and its view."""

    path: Path
    space: str
    most_bytes: int

    def read(self, pictures: Sequence[str], view: int, width: int | None) -> dict[str, Floats]:
        """Return cached embeddings of these pictures (by `content_of`), each (width,), or of any width."""
        return {name: row for name, (row, _) in self.read_sized(pictures, view, width).items()}

    def read_sized(
        self, pictures: Sequence[str], view: int, width: int | None
    ) -> dict[str, tuple[Floats, Size | None]]:
        """Return cached embeddings of these pictures, with the pictures' sizes if known."""
        found: dict[str, tuple[Floats, Size | None]] = {}
        with suppress(sqlite3.Error, OSError), closing(self._open()) as file:
            for start in range(0, len(pictures), ASKED):
                asked = pictures[start : start + ASKED]
                marks = ", ".join("?" * len(asked))
                rows = file.execute(ROWS.format(marks), (self.space, view, *asked)).fetchall()
                good = [row for row in rows if width is None or len(row[1]) == width * KEPT_TYPE.itemsize]
                vectors = floats([row[1] for row in good])
                for (name, _, across, down), vector in zip(good, vectors, strict=True):
                    found[name] = vector, (across, down) if across else None
        return found

    def write(self, found: Mapping[str, Floats], view: int, sizes: Mapping[str, Size] | None = None) -> None:
        """Store embeddings, evicting the oldest if there are too many. Failures only cost a later computation."""
        nowhere, now = (None, None), time.time()
        rows = [
            (self.space, name, view, row.astype(KEPT_TYPE).tobytes(), *(sizes or {}).get(name, nowhere), now)
            for name, row in found.items()
        ]
        try:
            with closing(self._open()) as file, file:
                file.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
                self._trim(file)
        except (sqlite3.OperationalError, OSError):
            pass  # a full disk, a lock, a read-only folder
        except sqlite3.DatabaseError:  # damaged
            self.path.unlink(missing_ok=True)

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self.path, timeout=BUSY_SECONDS)
        file.execute("PRAGMA synchronous = OFF")  # a file damaged by a crash of the machine is discarded
        file.execute("CREATE TABLE IF NOT EXISTS spaces (weights TEXT PRIMARY KEY, space TEXT) WITHOUT ROWID")
        file.execute(
            "CREATE TABLE IF NOT EXISTS embeddings (space TEXT, picture TEXT, view INTEGER, vector BLOB,"
            " width INTEGER, height INTEGER, kept_at REAL, PRIMARY KEY (space, view, picture)) WITHOUT ROWID"
        )
        return file

    def _trim(self, file: sqlite3.Connection) -> None:
        pages, free, page_bytes = (
            file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * page_bytes > self.most_bytes:
            (middle,) = file.execute(
                "SELECT kept_at FROM embeddings ORDER BY kept_at LIMIT 1 OFFSET (SELECT count(*) / 2 FROM embeddings)"
            ).fetchone()
            file.execute("DELETE FROM embeddings WHERE kept_at <= ?", (middle,))

    def name_space(self, weights: str) -> None:
        """Record that these weights, named by `weights_key`, have this space."""
        with suppress(sqlite3.Error, OSError), closing(self._open()) as file, file:
            file.execute("INSERT OR REPLACE INTO spaces VALUES (?, ?)", (weights, self.space))


def find_space(path: Path, weights: str) -> str | None:
    """Return the recorded space of these weights, without reading them."""
    with suppress(sqlite3.Error, OSError), closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as file:
        row = file.execute("SELECT space FROM spaces WHERE weights = ?", (weights,)).fetchone()
        return row and str(row[0])
    return None


def weights_key(backbone: str, image_size: int, folder: Path | None) -> str | None:
    """Return a key for a backbone's weights file and preprocessing; None if there is no such file."""
    found = find_weights(backbone_of(backbone), folder)
    if found is None:
        return None
    facts = found.path.stat()
    return f"{backbone} {preprocess_of(backbone, image_size)} {found.path} {facts.st_size} {facts.st_mtime_ns}"


def content_of(sha256: str, crop: Box | None) -> str:
    """Return an identifier of pixels: equal for the same crop of the same file."""
    return sha256 if crop is None else f"{sha256}:{crop}"


def floats(vectors: Sequence[bytes]) -> Iterable[Floats]:
    """Return kept rows, converted at once if all are of one width."""
    if len({len(vector) for vector in vectors}) != 1:
        return [np.frombuffer(vector, KEPT_TYPE).astype(np.float32) for vector in vectors]
    whole: Floats = np.frombuffer(b"".join(vectors), KEPT_TYPE).astype(np.float32).reshape(len(vectors), -1)
    return whole


def rounded(embeddings: Floats) -> Floats:
    """Return embeddings rounded to the cache's precision."""
    return embeddings.astype(KEPT_TYPE).astype(np.float32)


def space_of(body: Mapping[str, "Tensor"], backbone: str, preprocess: Preprocess, precision: str = "float32") -> str:
    """Return a hash of everything that embeddings depend on beside the picture: network, weights, pixels, precision.

    Args:
        body: its weights, in float32, whatever it computes in.
        backbone: its name.
        preprocess: of the pictures.
        precision: that the body computes in.
    """
    digest = sha256(f"{VERSION} {backbone} {preprocess} {precision}".encode())
    for name, tensor in sorted(body.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
