"""Zip archives: the central directory lists the content, and is not trusted."""

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

from tsukiji.errors import (
    ArchiveError,
    ArchiveTooLarge,
    ArchiveTooManyEntries,
    ArchiveUnreadable,
    EntryEncrypted,
    EntryTooLarge,
    EntryUnreadable,
)
from tsukiji.ingest.archives.encodings import Spelling, Unsaid
from tsukiji.ingest.archives.entries import HARMLESS_BYTES, ArchiveLimits, Entry, Names, nested_fault, place_fault
from tsukiji.ingest.archives.listing import UTF8, Listing
from tsukiji.names import plain_name

PLAIN: Final = frozenset({0, stat.S_IFREG})
# The other methods decompress without a bound: one read of 4 KiB of bzip2 may return 80 MB.
BOUNDED: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# Exceptions of `zipfile`. RuntimeError includes its NotImplementedError.
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
SPELLED: Final = "cp437"
"""How `zipfile` decodes names not marked as UTF-8: it maps all 256 bytes, so none is lost."""
UNICODE_PATH: Final = 0x7075
UNICODE_PATH_HEAD: Final = struct.Struct("<BL")
FIELD: Final = struct.Struct("<HH")
"""Header of an extra field; followed by as many bytes as it declares. Source: APPNOTE.TXT 6.3.10, 4.5 and 4.6.9."""
ENCRYPTED: Final = 0x1
LISTING_BYTES: Final = 256
"""Most average size of an entry in the central directory."""
SORTED_PARTS: Final = 16


def entries(path: Path, limits: ArchiveLimits, encoding: str | None = None) -> Iterator[Entry]:
    """Yield the entries; errors of the whole archive are raised before the first."""
    try:
        listing, spelling, hashes = _checked(path, limits, encoding)
    except DAMAGE as damage:
        raise ArchiveUnreadable(f"The zip archive cannot be read: {damage}") from damage
    names = Names(_doubles(hashes))
    for archive in listing.parts():
        for info in archive.infolist():
            name, guessed = _spelled(info, spelling)
            if not _is_folder(info, name):
                name, error = names.settle(name, _fault(info, name, limits))
                yield Entry(name, error, partial(_unpack, archive, info, name), guessed)


def _checked(path: Path, limits: ArchiveLimits, encoding: str | None) -> tuple[Listing, Spelling, Sequence[int]]:
    """Return the directory after reading it completely, how names are encoded, and the hash of each."""
    listing = Listing.find(path)
    if listing.size > limits.max_entries * LISTING_BYTES + limits.max_entry_bytes:
        raise ArchiveTooManyEntries(f"The archive's listing alone takes {listing.size:,} bytes.")
    hashes, expanded, unsaid, spelling = array("q"), 0, Unsaid(), Spelling(encoding, SPELLED)
    for info in _infos(listing):
        hashes.append(_hash(info, spelling))
        expanded += info.file_size
        if encoding is None and _said(info) is None:
            unsaid.add(_raw(info))
    _check_whole(len(hashes), expanded, limits)
    if unsaid.parts:
        spelling = Spelling(unsaid.guess(), SPELLED, is_guessed=True)
        hashes = array("q", (_hash(info, spelling) for info in _infos(listing)))
    return listing, spelling, hashes


def _hash(info: zipfile.ZipInfo, spelling: Spelling) -> int:
    return hash(plain_name(_spelled(info, spelling)[0]))


def _infos(listing: Listing) -> Iterator[zipfile.ZipInfo]:
    for archive in listing.parts():
        yield from archive.infolist()


def _doubles(hashes: Sequence[int]) -> set[int]:
    """Return repeated hashes. Sorted in parts: outside the array each takes forty bytes instead of eight."""
    found = set()
    for part in range(SORTED_PARTS):
        some = sorted(one for one in hashes if one % SORTED_PARTS == part)
        found |= {one for one, other in pairwise(some) if one == other}
    return found


def _check_whole(count: int, expanded: int, limits: ArchiveLimits) -> None:
    if count > limits.max_entries:
        raise ArchiveTooManyEntries(f"The archive holds {count:,} entries; at most {limits.max_entries:,} are allowed.")
    if expanded > limits.max_expanded_bytes:
        raise ArchiveTooLarge(
            f"The archive unpacks to {expanded:,} bytes; at most {limits.max_expanded_bytes:,} are allowed."
        )


def _is_folder(info: zipfile.ZipInfo, name: str) -> bool:
    return name.endswith("/") or (name.endswith("\\") and not info.file_size)


def _spelled(info: zipfile.ZipInfo, spelling: Spelling) -> tuple[str, str | None]:
    """Return the decoded name, and the code page if it was guessed."""
    said = _said(info)
    return (said, None) if said is not None else spelling.read(_raw(info))


def _said(info: zipfile.ZipInfo) -> str | None:
    """Return the name if the archive marks it as Unicode: in Info-ZIP's extra field, or by the flag.

    `orig_filename`: the other attribute is cut at a NUL.
    """
    if info.flag_bits & UTF8:
        return info.orig_filename
    extra = info.extra
    while len(extra) >= FIELD.size:
        kind, size = FIELD.unpack_from(extra)
        body, extra = extra[FIELD.size : FIELD.size + size], extra[FIELD.size + size :]
        if kind == UNICODE_PATH and len(body) > UNICODE_PATH_HEAD.size:
            version, crc = UNICODE_PATH_HEAD.unpack_from(body)
            with suppress(UnicodeDecodeError):
                if version == 1 and crc == zlib.crc32(_raw(info)):  # otherwise the name was changed since
                    return body[UNICODE_PATH_HEAD.size :].decode()
    return info.orig_filename if info.orig_filename.isascii() else None


def _raw(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode(SPELLED)


def _fault(info: zipfile.ZipInfo, name: str, limits: ArchiveLimits) -> ArchiveError | None:
    """Return why an entry is refused, judging by the directory."""
    if fault := place_fault(name, plain=stat.S_IFMT(info.external_attr >> 16) in PLAIN):
        return fault
    if info.flag_bits & ENCRYPTED:
        return EntryEncrypted(f"{name} is encrypted.")
    if fault := nested_fault(name):
        return fault
    if info.compress_type not in BOUNDED:
        return EntryUnreadable(f"{name} uses an unsupported compression method.")
    return _size_fault(info, name, limits)


def _size_fault(info: zipfile.ZipInfo, name: str, limits: ArchiveLimits) -> ArchiveError | None:
    if info.file_size > limits.max_entry_bytes:
        return EntryTooLarge(f"{name} has {info.file_size:,} bytes; at most {limits.max_entry_bytes:,} are allowed.")
    if info.file_size > HARMLESS_BYTES and info.file_size > limits.max_ratio * info.compress_size:
        return EntryTooLarge(f"{name} unpacks to more than {limits.max_ratio:g} times its packed size.")
    return None


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    """`zipfile` stops at the announced size and checks the CRC there, so a wrong size is reported as damage."""
    try:
        with archive.open(info) as file:
            data = file.read(info.file_size + 1)
    except DAMAGE as error:
        raise EntryUnreadable(f"{name} is damaged: {error}") from error
    if len(data) != info.file_size:
        raise EntryUnreadable(f"{name} unpacks to {len(data):,} bytes and claims {info.file_size:,}.")
    return data
