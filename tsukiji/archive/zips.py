"""Zip archives: the listing at the end says what there is, and every word of it may be a lie."""

import stat
import struct
import zipfile
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

from tsukiji.archive.entries import (
    HARMLESS_BYTES,
    ArchiveLimits,
    Entry,
    Names,
    compose,
    nested_fault,
    place_fault,
    plain,
)
from tsukiji.archive.listing import Listing
from tsukiji.errors import (
    ArchiveError,
    ArchiveTooLarge,
    ArchiveTooManyEntries,
    ArchiveUnreadable,
    EntryEncrypted,
    EntryTooLarge,
    EntryUnreadable,
)

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
LISTING_BYTES: Final = 256
"""What one entry may take of the archive's listing, on average."""
SORTED_PARTS: Final = 16


def entries(path: Path, limits: ArchiveLimits) -> Iterator[Entry]:
    """Yield the entries; what is wrong with the whole is raised before the first."""
    listing, doubtful = _checked(path, limits)
    names = Names(doubtful)
    for archive in listing.parts():
        for info in archive.infolist():
            if not info.orig_filename.endswith("/"):
                name = _spelled(info)
                name, error = names.settle(name, _fault(info, name, limits))
                yield Entry(name, error, partial(_unpack, archive, info))


def _checked(path: Path, limits: ArchiveLimits) -> tuple[Listing, set[int]]:
    """Return the listing, read once from its beginning to its end, and the hashes of names that stand there twice."""
    hashes, expanded = array("q"), 0
    try:
        listing = Listing.find(path)
        if listing.size > limits.max_entries * LISTING_BYTES + limits.max_entry_bytes:
            raise ArchiveTooManyEntries(f"The archive's listing alone takes {listing.size:,} bytes.")
        for archive in listing.parts():
            hashes.extend(hash(plain(_spelled(info))) for info in archive.infolist())
            expanded += sum(info.file_size for info in archive.infolist())
    except DAMAGE as error:
        raise ArchiveUnreadable(f"The zip archive cannot be read: {error}") from error
    _check_whole(len(hashes), expanded, limits)
    return listing, _doubles(hashes)


def _doubles(hashes: Sequence[int]) -> set[int]:
    """Return those that are there twice. Sorted by parts: outside the array each takes forty bytes, and not eight."""
    found = set()
    for part in range(SORTED_PARTS):
        some = sorted(one for one in hashes if one % SORTED_PARTS == part)
        found |= {one for one, other in pairwise(some) if one == other}
    return found


def _check_whole(count: int, expanded: int, limits: ArchiveLimits) -> None:
    if count > limits.max_entries:
        raise ArchiveTooManyEntries(f"The archive holds {count:,} entries; at most {limits.max_entries:,} are taken.")
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
    return compose(name)


def _fault(info: zipfile.ZipInfo, name: str, limits: ArchiveLimits) -> ArchiveError | None:
    """Return why an entry is refused, by what the listing says of it."""
    if fault := place_fault(name, plain=stat.S_IFMT(info.external_attr >> 16) in PLAIN):
        return fault
    if info.flag_bits & ENCRYPTED:
        return EntryEncrypted(f"{name} is encrypted.")
    if fault := nested_fault(name):
        return fault
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
