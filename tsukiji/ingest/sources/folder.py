"""A local folder. Every path component below the allowed one is opened by itself, without following links.

So no name leads outside, and a user with write access gains nothing by replacing a folder with a link at the right
moment (`openat`, O_NOFOLLOW: POSIX only).
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tsukiji.errors import EntryUnreadable, Invalid, SourceMissing, SourceUnreadable
from tsukiji.ingest.archives import Entry
from tsukiji.ingest.archives.encodings import Spelling, is_utf8, spelling_of
from tsukiji.ingest.sources.source import Source, fault
from tsukiji.kernel.storage.disk import disk_errors
from tsukiji.names import leftover

ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
DENIED = {errno.EACCES, errno.EPERM}
Rank = tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class FolderSource(Source):
    """Args: `root` is the allowed folder, which may itself be a link; `below` are the path components after it."""

    root: Path
    below: tuple[str, ...]

    def entries(self, max_bytes: int, after: str | None = None) -> Iterator[Entry]:
        done = () if after is None else _rank(after)
        spelling = Spelling(None, "utf-8")
        with self._opened(self.below) as top, self._errors():
            for place, folders, files, here in os.fwalk(".", dir_fd=top, onerror=_raise):
                above = os.path.normpath(place)
                passed = [name for name in folders if leftover(name) or _is_link(name, here)]
                top_rank = () if above == "." else tuple((1, part) for part in above.split("/"))
                left = set(folders).difference(passed)
                folders[:] = sorted(name for name in left if _goes_on((*top_rank, (1, name)), done))
                for name in sorted([*files, *passed]):
                    if (*top_rank, (0, name)) <= done:
                        continue
                    raw = os.fsencode(name if above == "." else f"{above}/{name}")
                    if not (spelling.is_guessed or is_utf8(raw)):
                        spelling = spelling_of(self._names())
                    yield _entry(name, raw, spelling.read(raw), here, max_bytes)

    def _names(self) -> Iterator[bytes]:
        """Yield the names of all files and folders, from a separate pass."""
        with self._opened(self.below) as top:
            for _, folders, files, _ in os.fwalk(".", dir_fd=top):
                folders.sort()
                yield from map(os.fsencode, [*folders, *sorted(files)])

    def read(self, max_bytes: int) -> bytes:
        if not self.below:
            raise SourceMissing(f"{self.root} is a folder, not a file.")
        with self._opened(self.below[:-1]) as folder, self._errors():
            return _read(self.below[-1], folder, max_bytes)

    @contextmanager
    def _opened(self, names: tuple[str, ...]) -> Iterator[int]:
        """Open the folder of this path, component by component."""
        if os.name != "posix":
            raise Invalid("Folders can be read where the service runs on Linux or macOS only.")
        with self._errors():
            handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in names:
                with self._errors():
                    deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
                os.close(handle)
                handle = deeper
            yield handle
        finally:
            os.close(handle)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        with disk_errors():
            try:
                yield
            except OSError as error:
                place = self.root.joinpath(*self.below)
                if error.errno in ABSENT:
                    raise SourceMissing(f"{place} does not exist, or a link leads to it.") from error
                if error.errno in DENIED:
                    raise SourceUnreadable(f"{place} may not be read: {error}.") from error
                raise


def _rank(place: str) -> Rank:
    """Return where a path comes in the order of the walk: the files of a folder before those of its folders."""
    *above, name = place.split("/")
    return *((1, part) for part in above), (0, name)


def _goes_on(folder: Rank, done: Rank) -> bool:
    """Return whether there may be files below a folder that come after the last one done."""
    return folder >= done[: len(folder)]


def _entry(name: str, raw: bytes, spelled: tuple[str, str | None], folder: int, max_bytes: int) -> Entry:
    shown, guessed = spelled
    facts = _facts(name, folder)
    size, mode = (facts.st_size, facts.st_mode) if facts else (0, stat.S_IFREG)  # deleted: reading will report that
    shown, error = fault(shown, size, max_bytes, plain=stat.S_ISREG(mode) or leftover(name) is not None)
    place = raw.decode() if is_utf8(raw) else None
    return Entry(shown, error, partial(_read_entry, name, shown, folder, max_bytes), guessed, place, size)


def _read_entry(name: str, shown: str, folder: int, max_bytes: int) -> bytes:
    """Return a file's bytes; a deleted or unreadable file affects only itself."""
    with disk_errors():
        try:
            data = _read(name, folder, max_bytes)
        except OSError as error:
            if error.errno in ABSENT | DENIED:
                detail = f"{shown} cannot be read: {error.strerror}."
                raise EntryUnreadable(detail, hint=SourceUnreadable.hint) from error
            raise
    if len(data) > max_bytes:
        raise EntryUnreadable(f"{shown} grew while it was read.", hint="Do not change files while they are read.")
    return data


def _read(name: str, folder: int, max_bytes: int) -> bytes:
    # NONBLOCK: opening a pipe would wait for a writer.
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise SourceMissing(f"{_shown(name)} is not a regular file.")
    with os.fdopen(handle, "rb") as file:
        return file.read(max_bytes + 1)


def _is_link(name: str, folder: int) -> bool:
    facts = _facts(name, folder)
    return facts is not None and stat.S_ISLNK(facts.st_mode)


def _facts(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None  # deleted since it was listed


def _shown(name: str) -> str:
    """Return a name as valid UTF-8, whatever bytes the disk holds."""
    return os.fsencode(name).decode("utf-8", "replace")


def _raise(error: OSError) -> None:
    raise error
