"""Local picture files: which, how large, in which requests. Knows no HTTP."""

import hashlib
import os
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tsukiji.ingest.archives.encodings import spelling_of
from tsukiji.ingest.skipped import SkippedFiles
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
"""Suffixes of pictures; other files are recognised by their first bytes."""
PICTURE: Final = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF.{4}WEBP|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"
    rb"|II[*+]\0|MM\0[*+]|.{4}ftyp(?:avi|he[iv]|mif1|msf1|miaf)",
    re.DOTALL,
)
HEAD_BYTES: Final = 32
MAX_DEPTH: Final = 64
"""Most depth of folders; also ends cycles of links."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file and its relative name, with `/`, in the service."""

    path: Path
    name: str
    size: int

    def sha256(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def files_below(folder: Path, passed: SkippedFiles | None = None) -> list[LocalFile]:
    """List every file in a folder's tree by name; links are followed. What is left out is counted in `passed`:

    operating systems' junk files, broken links and cycles, unreadable folders.

    Raises:
        NotADirectoryError: it is not a folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    passed = passed or SkippedFiles()
    return sorted(_named(dict(_walk(folder, "", passed, [])), folder, passed), key=lambda file: file.name)


def _named(sizes: Mapping[Path, int], top: Path, passed: SkippedFiles) -> list[LocalFile]:
    """Name files relative to `top`, as valid Unicode whatever bytes the disk holds."""
    raws = {path: os.fsencode(path.relative_to(top).as_posix()) for path in sizes}
    spelling = spelling_of(raws.values())
    files = []
    for path, raw in raws.items():
        name, guessed = spelling.read(raw)
        files.append(LocalFile(path, plain_name(name), sizes[path]))
        if guessed:
            passed.add("names_guessed", name, guessed)
    return files


def _walk(folder: Path, below: str, passed: SkippedFiles, above: list[tuple[int, int]]) -> Iterator[tuple[Path, int]]:
    """Yield the files of a folder with their sizes; `above` are its parents, by device and inode."""
    here = folder.stat()
    inside = [*above, (here.st_dev, here.st_ino)]
    for path in sorted(folder.iterdir()):
        name = f"{below}{path.name}"
        if remains := leftover(path.name):
            passed.add("leftovers_passed_over", _shown(name), remains)
            continue
        try:
            facts = path.stat()
            if stat.S_ISDIR(facts.st_mode):
                if (facts.st_dev, facts.st_ino) in inside or len(inside) > MAX_DEPTH:
                    passed.add("links_passed_over", _shown(name))
                else:
                    yield from _walk(path, f"{name}/", passed, inside)
            elif stat.S_ISREG(facts.st_mode):
                yield path, facts.st_size
            else:
                passed.add("files_passed_over", _shown(name))
        except OSError:
            passed.add("links_passed_over" if path.is_symlink() else "folders_passed_over", _shown(name))


def pictures_at(paths: Iterable[str | os.PathLike[str]], passed: SkippedFiles) -> list[LocalFile]:
    """Expand folders to the pictures in them, by name or content; explicitly named files are always included.

    Names are relative to the common folder of all paths. Skipped files are counted in `passed`.

    Raises:
        FileNotFoundError: a path does not exist.
    """
    given = [Path(path).absolute() for path in paths]
    found = dict(each for path in given for each in _expand(path, passed))
    if not found:
        return []
    top = Path(os.path.commonpath([path if path.is_dir() else path.parent for path in given]))
    return _named(found, top, passed)


def _expand(path: Path, passed: SkippedFiles) -> Iterator[tuple[Path, int]]:
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist")
        yield path, path.stat().st_size
        return
    for file, size in _walk(path, "", passed, []):
        if _is_picture(file):
            yield file, size
        else:
            passed.add("files_passed_over", _shown(file.relative_to(path).as_posix()))


def _is_picture(path: Path) -> bool:
    """Return whether a file has the name or the first bytes of a picture; the service then decodes it."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return PICTURE.match(file.read(HEAD_BYTES)) is not None
    except OSError:
        return True  # sending it will report that it is unreadable


def portions(files: Iterable[LocalFile]) -> Iterator[list[LocalFile]]:
    """Split into requests of at most CHUNK_FILES files and, unless a single file is larger, CHUNK_BYTES bytes."""
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
    """Return the content type of an archive by its name; the service then checks the bytes."""
    types = {".tar": "application/x-tar", ".gz": "application/gzip", ".tgz": "application/gzip"}
    return types.get(file.suffix.lower(), "application/zip")


@contextmanager
def packed(files: Iterable[LocalFile]) -> Iterator[Path]:
    """Pack into a temporary zip, uncompressed: pictures are compressed already.

    The same files give the same bytes, so that an upload in parts can be resumed.
    """
    with tempfile.TemporaryDirectory(prefix="tsukiji-") as folder:
        spool = Path(folder) / "images.zip"
        with zipfile.ZipFile(spool, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
            for file in files:
                archive.write(file.path, file.name)
        yield spool


def _shown(name: str) -> str:
    """Return a name as valid UTF-8, whatever bytes the disk holds."""
    return os.fsencode(name).decode("utf-8", "replace")
