"""Thumbnails that were drawn once, in a SQLite file of their own. It is but a cache: what it lacks is drawn again.

Several processes share it. It knows no images: who asks has found that the picture may be shown.
"""

import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BUSY_SECONDS: Final = 5
TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS thumbnails"
    " (sha256 TEXT, side INTEGER, webp BLOB, kept_at REAL, PRIMARY KEY (sha256, side))"
)


@dataclass(frozen=True)
class Thumbnails:
    """The file, and how large it may become; 0 keeps nothing."""

    path: Path
    most_bytes: int

    def read(self, sha256: str, side: int) -> bytes | None:
        """Return the WebP of a picture, if it was drawn before."""
        if not self.most_bytes:
            return None
        with suppress(sqlite3.Error, OSError), closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as file:
            wanted = (sha256, side)
            row = file.execute("SELECT webp FROM thumbnails WHERE sha256 = ? AND side = ?", wanted).fetchone()
            return row and bytes(row[0])
        return None

    def write(self, sha256: str, side: int, webp: bytes) -> None:
        """Keep a thumbnail; the oldest half goes where there are too many."""
        if not self.most_bytes:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as file, file:
                file.execute("PRAGMA synchronous = OFF")  # what a crash of the machine damages is drawn again
                file.execute(TABLE)
                row = (sha256, side, webp, time.time())
                file.execute("INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?, ?)", row)
                self._trim(file)
        except (sqlite3.OperationalError, OSError):
            pass  # a full disk, a lock, a place that cannot be written
        except sqlite3.DatabaseError:  # damaged
            self.path.unlink(missing_ok=True)

    def _trim(self, file: sqlite3.Connection) -> None:
        pages, free, page_bytes = (
            file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * page_bytes > self.most_bytes:
            file.execute(
                "DELETE FROM thumbnails WHERE rowid IN"
                " (SELECT rowid FROM thumbnails ORDER BY kept_at LIMIT (SELECT count(*) / 2 FROM thumbnails))"
            )
