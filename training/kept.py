"""The file of what networks said of pictures, to be asked only once for each. Knows no torch.

It is SQLite, and but a cache: whatever is wrong with it, everything is computed anew.
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tsukiji.vision.backbones import backbone_of, find_weights, preprocess_of

BUSY_SECONDS: Final = 15
KEPT_TYPE: Final = np.dtype("<f2")
ASKED: Final = 500

PLAIN: Final = 0
MIRRORED: Final = 1
"""The embedding of the picture as it is, and mirrored."""
COMPACT: Final = 2
"""The embedding in few numbers, for what compares many pictures (`training.compact`)."""
REGION: Final = 3
"""The box that the network responds to (`training.regions`)."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Kept:
    """A file of embeddings. `space` names all that they depend on, beside the picture and its view."""

    path: Path
    space: str
    most_bytes: int

    def read(self, pictures: Sequence[str], view: int, width: int | None) -> dict[str, Floats]:
        """Return what is kept of these pictures (by SHA-256), each (width,), or of whatever width it is."""
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
                    if width is None or len(vector) == width * KEPT_TYPE.itemsize
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
        file.execute("CREATE TABLE IF NOT EXISTS spaces (weights TEXT PRIMARY KEY, space TEXT) WITHOUT ROWID")
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

    def name_space(self, weights: str) -> None:
        """Note that the space belongs to this file of weights, as `weights_key` names it."""
        with suppress(sqlite3.Error, OSError), closing(self._open()) as file, file:
            file.execute("INSERT OR REPLACE INTO spaces VALUES (?, ?)", (weights, self.space))


def find_space(path: Path, weights: str) -> str | None:
    """Return the space of these weights without reading them, if anybody has named it."""
    with suppress(sqlite3.Error, OSError), closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as file:
        row = file.execute("SELECT space FROM spaces WHERE weights = ?", (weights,)).fetchone()
        return row and str(row[0])
    return None


def weights_key(backbone: str, image_size: int, folder: Path | None) -> str | None:
    """Return a name for a backbone's weights as they lie there now, and for the pixels; None where there are none."""
    found = find_weights(backbone_of(backbone), folder)
    if found is None:
        return None
    facts = found.path.stat()
    return f"{backbone} {preprocess_of(backbone, image_size)} {found.path} {facts.st_size} {facts.st_mtime_ns}"
