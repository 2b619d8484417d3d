"""The user's pictures on disk: which, how large, in which portions. Knows no HTTP."""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tsukiji.names import leftover, plain_name

CHUNK_FILES: Final = 100
REQUEST_BYTES: Final = 256 * 2**20
CHUNK_BYTES: Final = 64 * 2**20
SUFFIXES: Final = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".mpo",
        ".png",
        ".webp",
        ".avif",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".heic",
        ".heif",
    }
)
"""What a picture in a folder is known by; the service then looks at the bytes."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file and the relative name, with `/`, under which the service knows it."""

    path: Path
    name: str
    size: int

    def sha256(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def files_below(folder: Path) -> list[LocalFile]:
    """List every file in a folder's tree by name, without what systems leave behind.

    Raises:
        NotADirectoryError: it is no folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    named = ((path, _relative(path, folder)) for path in folder.rglob("*") if path.is_file())
    files = [LocalFile(path, name, path.stat().st_size) for path, name in named if not leftover(name)]
    return sorted(files, key=lambda file: file.name)


def pictures_at(paths: Iterable[str | os.PathLike[str]]) -> list[LocalFile]:
    """Expand folders to the files in them that are named like pictures; files named one by one are always taken.

    Names are relative to the folder that all paths have in common.

    Raises:
        FileNotFoundError: a path leads nowhere.
    """
    given = [Path(path).absolute() for path in paths]
    found = dict.fromkeys(file for path in given for file in _expand(path))
    if not found:
        return []
    top = Path(os.path.commonpath([path if path.is_dir() else path.parent for path in given]))
    return [LocalFile(path, _relative(path, top), path.stat().st_size) for path in found]


def _expand(path: Path) -> list[Path]:
    if path.is_dir():
        return [file.path for file in files_below(path) if file.path.suffix.lower() in SUFFIXES]
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    return [path]


def portions(files: Iterable[LocalFile]) -> Iterator[list[LocalFile]]:
    """Cut into requests of at most CHUNK_FILES files and, unless one file alone is larger, CHUNK_BYTES bytes."""
    portion: list[LocalFile] = []
    size = 0
    for file in files:
        if portion and (len(portion) == CHUNK_FILES or size + file.size > CHUNK_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(file)
        size += file.size
    if portion:
        yield portion


def fit_one_request(files: Sequence[LocalFile]) -> bool:
    # The envelope of each part is small; a mebibyte covers a hundred of them.
    return len(files) <= CHUNK_FILES and sum(file.size for file in files) < REQUEST_BYTES - 2**20


def archive_type(file: Path) -> str:
    """Return the content type of an archive by its name; the service then looks at the bytes."""
    types = {".tar": "application/x-tar", ".gz": "application/gzip", ".tgz": "application/gzip"}
    return types.get(file.suffix.lower(), "application/zip")


@contextmanager
def packed(files: Iterable[LocalFile]) -> Iterator[Path]:
    """Pack into a temporary zip on disk, stored and not squeezed: pictures are compressed already.

    The same files give the same bytes, so an upload of them in parts can be gone on with.
    """
    with tempfile.TemporaryDirectory(prefix="tsukiji-") as folder:
        spool = Path(folder) / "images.zip"
        with zipfile.ZipFile(spool, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
            for file in files:
                archive.write(file.path, file.name)
        yield spool


def _relative(path: Path, top: Path) -> str:
    """Return the name relative to `top` as clean UTF-8, whatever bytes the disk holds."""
    return plain_name(os.fsencode(path.relative_to(top).as_posix()).decode("utf-8", "replace"))
