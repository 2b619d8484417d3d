"""Shared by all archives: limits, entries, and the rules for names.

Archives are untrusted: names may point outside, sizes may be wrong, and the content may be anything.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Self

from tsukiji.errors import ArchiveError, EntryDuplicate, EntryIgnored, EntryNested, EntryUnsafePath
from tsukiji.names import leftover, plain_name

if TYPE_CHECKING:  # it needs pydantic-settings, which is missing in a client that checks a package
    from tsukiji.kernel.settings import LimitSettings

ARCHIVE_SUFFIXES: Final = frozenset(
    {".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".7z", ".rar", ".zst", ".jar"}
)
ARCHIVE_MAGIC: Final = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK\x07\x08",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\0",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"\x28\xb5\x2f\xfd",
)
TAR_MAGIC: Final = b"ustar"
TAR_MAGIC_AT: Final = 257
UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f]|^/|^[A-Za-z]:|(?:^|/)\.\.(?:/|$)")
"""What a plain name must not contain."""
HARMLESS_BYTES: Final = 2**20
"""Below this the compression ratio is not limited: a plain drawing compresses well, and the total limit still holds."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Limits on an archive."""

    max_bytes: int
    max_entries: int
    max_expanded_bytes: int
    max_entry_bytes: int
    max_ratio: float

    @classmethod
    def of(cls, limits: "LimitSettings") -> Self:
        return cls(
            max_bytes=limits.archive_bytes,
            max_entries=limits.archive_entries,
            max_expanded_bytes=limits.archive_expanded_bytes,
            max_entry_bytes=limits.image_bytes,
            max_ratio=limits.archive_ratio,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One file; readable during its iteration.

    Attributes:
        name: relative, with slashes, in Unicode form NFC; as in the archive if `error` refuses it.
        error: why it is refused, or None.
        unpack: returns its bytes, or raises a `TsukijiError`.
        guessed: the code page by which the name was decoded, if guessed; else None.
        place: the path below its source, if it can be read again by that: not in an archive, and only if UTF-8.
        size: of its bytes as announced by a source; 0 if unknown.
    """

    name: str
    error: ArchiveError | None
    unpack: Callable[[], bytes]
    guessed: str | None = None
    place: str | None = None
    size: int = 0

    def read(self) -> bytes:
        """Return the file's bytes, never more than announced.

        Raises:
            ArchiveError: the entry is refused, damaged, an archive itself, or not of the announced size.
        """
        if self.error:
            raise self.error
        data = self.unpack()
        check_plain(self.name, data)
        return data


def check_plain(name: str, data: bytes) -> None:
    """Raise EntryNested if a file is an archive."""
    if data.startswith(ARCHIVE_MAGIC) or data.startswith(TAR_MAGIC, TAR_MAGIC_AT):
        raise EntryNested(f"{name} is an archive.")


class Names:
    """The names of one archive in order: a repeated name is refused."""

    def __init__(self, doubtful: Collection[int] | None = None) -> None:
        """`doubtful` has the hash of every name that may be repeated, if known: others are not remembered."""
        self._doubtful = doubtful
        self._seen: set[str] = set()

    def settle(self, name: str, error: ArchiveError | None) -> tuple[str, ArchiveError | None]:
        """Return the normalised name and why its entry is refused; a refused entry does not use up its name."""
        if error is None:
            name = plain_name(name)
            if name in self._seen:
                error = EntryDuplicate(f"{name} is in the archive twice; the first one is used.")
            elif self._doubtful is None or hash(name) in self._doubtful:
                self._seen.add(name)
        return name, error


def place_fault(name: str, *, plain: bool) -> ArchiveError | None:
    """Return why a name or a non-regular file is refused; operating systems' junk files count as refused."""
    place = plain_name(name)
    remains = leftover(place)
    if place == "." or UNSAFE.search(place.removesuffix("\r") if remains else place) or not plain:
        return EntryUnsafePath(f"{name!r} leads outside, or is a link or a device.")
    if remains is not None:
        return EntryIgnored(f"{name!r} was left behind by the operating system.")
    return None


def nested_fault(name: str) -> ArchiveError | None:
    return EntryNested(f"{name} is an archive.") if PurePosixPath(name).suffix.lower() in ARCHIVE_SUFFIXES else None
