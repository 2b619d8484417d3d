"""A zip archive as a stream of named bytes, each good or refused with a reason. Writes nothing; knows no pictures.

The archive is hostile until shown otherwise: its names may point outside, its sizes may lie, it may unpack to anything.
"""

import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Self

from tsukiji.errors import (
    ArchiveError,
    ArchiveTooLarge,
    ArchiveTooManyEntries,
    ArchiveUnreadable,
    EntryDuplicate,
    EntryEncrypted,
    EntryIgnored,
    EntryNested,
    EntryTooLarge,
    EntryUnreadable,
    EntryUnsafePath,
)
from tsukiji.labels import is_clutter

if TYPE_CHECKING:  # it needs pydantic-settings, which a client that checks a package lacks
    from tsukiji.settings import LimitSettings

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
UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f\\]|^/|^[A-Za-z]:|(?:^|/)\.\.(?:/|$)")
PLAIN: Final = frozenset({0, stat.S_IFREG})
# The other methods unpack without a bound: one read of 4 KiB of bzip2 may be 80 MB.
BOUNDED: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# What `zipfile` runs into. RuntimeError includes its NotImplementedError.
DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    OverflowError,
    RuntimeError,
)
ENCRYPTED: Final = 0x1
UTF8: Final = 0x800
HARMLESS_BYTES: Final = 2**20
"""Below this no ratio is too high: a plain drawing packs well, and the limit on the whole still holds."""
LISTING_BYTES: Final = 256
"""What one entry may take of the archive's listing, on average; the listing is read into memory at once."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an archive may hold."""

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
    """One file of an archive; readable while the iteration that gave it stands at it.

    Attributes:
        name: relative, with slashes, in Unicode form NFC; as the archive spells it where `error` refuses it.
        error: why it is refused, or None.
    """

    name: str
    error: ArchiveError | None
    _archive: zipfile.ZipFile
    _info: zipfile.ZipInfo

    def read(self) -> bytes:
        """Return the file's bytes, never more than the archive's listing announced.

        Raises:
            ArchiveError: the entry is refused, damaged, an archive itself, or not of the size it claims.
        """
        if self.error:
            raise self.error
        data = _unpack(self._archive, self._info)
        if data.startswith(ARCHIVE_MAGIC) or data.startswith(TAR_MAGIC, TAR_MAGIC_AT):
            raise EntryNested(f"{self.name} is an archive.")
        return data


def entries(path: Path, limits: ArchiveLimits) -> Iterator[Entry]:
    """Yield every file of a zip archive in its order, refused ones with their error.

    Raises:
        ArchiveUnreadable: the file is no zip archive, or a damaged one.
        ArchiveTooLarge: it is larger than allowed, or unpacks to more.
        ArchiveTooManyEntries: it holds more entries than allowed.
    """
    with _open(path, limits) as file, _listed(file) as archive:
        _check_whole(archive, limits)
        seen: set[str] = set()
        for info in archive.infolist():
            if not info.orig_filename.endswith("/"):
                name = _spelled(info)
                error = _fault(info, name, limits)
                if error is None:
                    name = str(PurePosixPath(name))
                    if name in seen:
                        error = EntryDuplicate(f"{name} stands in the archive twice; the first one counts.")
                    seen.add(name)
                yield Entry(name, error, archive, info)


class _BoundedFile(FileIO):
    """A file that refuses to be read in one piece larger than `bound`: `zipfile` reads the listing so."""

    def __init__(self, path: Path, bound: int) -> None:
        super().__init__(path)
        self.bound = bound

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self.bound:
            raise ArchiveTooManyEntries(f"The archive's listing alone takes {size:,} bytes.")
        return super().read(size) or b""


def _open(path: Path, limits: ArchiveLimits) -> _BoundedFile:
    size = path.stat().st_size
    if size > limits.max_bytes:
        raise ArchiveTooLarge(f"The archive has {size:,} bytes; at most {limits.max_bytes:,} are taken.")
    return _BoundedFile(path, max(limits.max_entries * LISTING_BYTES, limits.max_entry_bytes) + HARMLESS_BYTES)


def _listed(file: _BoundedFile) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except DAMAGE as error:
        raise ArchiveUnreadable(f"The zip archive cannot be read: {error}") from error


def _check_whole(archive: zipfile.ZipFile, limits: ArchiveLimits) -> None:
    infos = archive.infolist()
    if len(infos) > limits.max_entries:
        raise ArchiveTooManyEntries(
            f"The archive holds {len(infos):,} entries; at most {limits.max_entries:,} are taken."
        )
    expanded = sum(info.file_size for info in infos)
    if expanded > limits.max_expanded_bytes:
        raise ArchiveTooLarge(
            f"The archive unpacks to {expanded:,} bytes; at most {limits.max_expanded_bytes:,} are taken."
        )


def _spelled(info: zipfile.ZipInfo) -> str:
    """Return the name as it was meant. `orig_filename`: the other one is cut at a NUL."""
    name = info.orig_filename
    if not info.flag_bits & UTF8:
        with suppress(UnicodeError):  # macOS writes UTF-8 without saying so
            name = name.encode("cp437").decode("utf-8")
    return unicodedata.normalize("NFC", name)


def _fault(info: zipfile.ZipInfo, name: str, limits: ArchiveLimits) -> ArchiveError | None:
    """Return why an entry is refused, by what the listing says of it."""
    if not PurePosixPath(name).parts or UNSAFE.search(name) or stat.S_IFMT(info.external_attr >> 16) not in PLAIN:
        return EntryUnsafePath(f"{name!r} leads outside the archive, or is a link or a device.")
    if is_clutter(name):
        return EntryIgnored(f"{name} was left behind by a system.")
    if info.flag_bits & ENCRYPTED:
        return EntryEncrypted(f"{name} is encrypted.")
    if PurePosixPath(name).suffix.lower() in ARCHIVE_SUFFIXES:
        return EntryNested(f"{name} is an archive.")
    if info.compress_type not in BOUNDED:
        return EntryUnreadable(f"{name} is packed by a method that is not read.")
    return _size_fault(info, name, limits)


def _size_fault(info: zipfile.ZipInfo, name: str, limits: ArchiveLimits) -> ArchiveError | None:
    if info.file_size > limits.max_entry_bytes:
        return EntryTooLarge(f"{name} has {info.file_size:,} bytes; at most {limits.max_entry_bytes:,} are taken.")
    if info.file_size > HARMLESS_BYTES and info.file_size > limits.max_ratio * info.compress_size:
        return EntryTooLarge(f"{name} unpacks to more than {limits.max_ratio:g} times its packed size.")
    return None


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """`zipfile` stops at the announced size and compares the checksum there, so a lie about size is found as damage."""
    try:
        with archive.open(info) as file:
            data = file.read(info.file_size + 1)
    except DAMAGE as error:
        raise EntryUnreadable(f"{info.filename} is damaged: {error}") from error
    if len(data) != info.file_size:
        raise EntryUnreadable(f"{info.filename} unpacks to {len(data):,} bytes and claims {info.file_size:,}.")
    return data
