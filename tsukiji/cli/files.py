"""Files that a command writes: whole, or not at all. Knows no command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def written(target: Path) -> Iterator[IO[str]]:
    """Give a text file that takes its name when it is complete; what was there stays if the disk is full before.

    Raises:
        OSError: it cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
