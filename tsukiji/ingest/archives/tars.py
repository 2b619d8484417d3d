"""Tar archives, plain or gzipped, read in one pass in constant memory.

`tarfile` reads headers of any size into memory and trusts the maps of sparse files, so only its parser of a single
header block is used. POSIX.1-2017, pax: "pax Interchange Format", "ustar Interchange Format"; GNU tar: "Basic Tar
Format".
"""

import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Final, cast

from tsukiji.errors import (
    ArchiveError,
    ArchiveTooLarge,
    ArchiveTooManyEntries,
    ArchiveUnreadable,
    EntryTooLarge,
    EntryUnreadable,
)
from tsukiji.ingest.archives.encodings import Spelling, is_utf8, spelling_of
from tsukiji.ingest.archives.entries import HARMLESS_BYTES, ArchiveLimits, Entry, Names, nested_fault, place_fault

BLOCK: Final = 512
PIECE: Final = 2**16
OLD: Final = "latin-1"
"""Decodes names that are neither UTF-8 nor valid in the given code page."""
GZIP_MAGIC: Final = b"\x1f\x8b"
GZIP_AHEAD: Final = 2**17
"""Most bytes that `gzip` may have read ahead without unpacking."""
PLAIN: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE})
WITHOUT_BYTES: Final = frozenset(
    {tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE}
)
LONG_NAME, LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
PAX: Final = frozenset({tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE})
EXTENSIONS: Final = PAX | {tarfile.XGLTYPE, LONG_NAME, LONG_LINK}
EXTENSIONS_IN_A_ROW: Final = 8
DAMAGE: Final = (OSError, EOFError, zlib.error)


def is_tar(file: IO[bytes]) -> bool:
    """Return whether this is gzipped, or begins with a tar header or the end of an empty tar."""
    file.seek(0)
    block = file.read(BLOCK)
    return block.startswith(GZIP_MAGIC) or block == bytes(BLOCK) or _header(block) is not None


def entries(path: Path, limits: ArchiveLimits, encoding: str | None = None) -> Iterator[Entry]:
    """Yield the entries. Errors of the whole archive are raised where they occur."""
    names, spelling = Names(), Spelling(encoding, OLD)
    for stream, member in _members(path, limits):
        if not (spelling.is_guessed or encoding or is_utf8(member.raw)):
            spelling = spelling_of(_names(path, limits))
        spelled, guessed = spelling.read(member.raw)
        if not member.is_folder(spelled):
            name, error = names.settle(spelled, _fault(member, spelled, limits))
            yield Entry(name, error, partial(stream.unpack, member.size, name), guessed)


def _members(path: Path, limits: ArchiveLimits) -> Iterator[tuple["_Stream", "_Member"]]:
    """Yield every member, with the stream positioned at its bytes."""
    with ExitStack() as opened:
        file = opened.enter_context(path.open("rb"))
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        source = _Packed(file)
        unpacked = opened.enter_context(gzip.GzipFile(fileobj=source)) if packed else file
        stream = _Stream(file, cast("IO[bytes]", unpacked), limits, source, packed=packed)
        while (member := _next(stream)) is not None:
            stream.count_entry()
            yield stream, member
            stream.pass_over()


def _names(path: Path, limits: ArchiveLimits) -> Iterator[bytes]:
    """Yield the names of all members, from a separate pass."""
    with suppress(ArchiveError):  # reported when the entries are read
        yield from (member.raw for _, member in _members(path, limits))


@dataclass
class _Packed:
    """The bytes of a gzip, while they unpack to something: a header's name, or empty members, may take gigabytes."""

    file: IO[bytes]
    allowed: int = HARMLESS_BYTES
    """Position behind which nothing is read."""

    def read(self, size: int, /) -> bytes:
        if self.file.tell() > self.allowed:
            raise OSError("it unpacks to almost nothing")
        return self.file.read(size)

    def seek(self, place: int, /) -> int:
        return self.file.seek(place)


@dataclass
class _Stream:
    """The unpacked bytes, with a count."""

    file: IO[bytes]
    """The archive as stored."""
    unpacked: IO[bytes]
    limits: ArchiveLimits
    source: _Packed
    packed: bool
    entries: int = 0
    expanded: int = 0
    ahead: int = field(default=0)
    """Bytes up to the next header: the rest of the current entry, with its padding."""

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer only at the end.

        Raises:
            ArchiveUnreadable: the compression is damaged.
            ArchiveTooLarge: the whole unpacks to more than allowed, in bytes or as a multiple of its size.
        """
        self.expanded += size
        if self.expanded > self.limits.max_expanded_bytes:
            raise ArchiveTooLarge(f"The archive unpacks to more than {self.limits.max_expanded_bytes:,} bytes.")
        self.source.allowed = HARMLESS_BYTES + 2 * self.expanded
        try:
            data = self.unpacked.read(size)
        except DAMAGE as error:
            raise ArchiveUnreadable(f"The tar archive is damaged: {error}") from error
        if self.packed and self.is_too_dense(self.expanded, self.file.tell()):
            raise ArchiveTooLarge(f"The archive unpacks to more than {self.limits.max_ratio:g} times its size.")
        return data

    def is_too_dense(self, unpacked: int, packed: int) -> bool:
        return unpacked > HARMLESS_BYTES and unpacked > self.limits.max_ratio * packed

    def count_entry(self) -> None:
        self.entries += 1
        if self.entries > self.limits.max_entries:
            raise ArchiveTooManyEntries(f"The archive holds more than {self.limits.max_entries:,} entries.")

    def unpack(self, size: int, name: str) -> bytes:
        """Return the bytes of the current entry.

        Raises:
            EntryTooLarge: their compression ratio is too high.
            ArchiveUnreadable: the archive ends within them.
        """
        before = self.file.tell()
        data = self.read(size)
        if len(data) != size:
            raise ArchiveUnreadable(f"The archive ends in the middle of {name}.")
        self.ahead -= size
        if self.packed and self.is_too_dense(size, self.file.tell() - before + GZIP_AHEAD):
            raise EntryTooLarge(f"{name} unpacks to more than {self.limits.max_ratio:g} times its packed size.")
        return data

    def pass_over(self) -> None:
        """Skip to the next header."""
        if self.packed:
            while self.ahead and (piece := self.read(min(self.ahead, PIECE))):
                self.ahead -= len(piece)
            missing = self.ahead
        else:
            self.expanded += self.ahead
            missing = self.file.tell() + self.ahead - os.fstat(self.file.fileno()).st_size
        if missing >= BLOCK:  # less is padding, which some programs omit at the end
            raise ArchiveUnreadable("The archive ends in the middle of an entry.")
        if not self.packed:
            self.file.seek(self.ahead, os.SEEK_CUR)
        self.ahead = 0


@dataclass(frozen=True)
class _Member:
    raw: bytes
    """Its name."""
    size: int
    kind: bytes
    is_sparse: bool

    def is_folder(self, name: str) -> bool:
        return self.kind == tarfile.DIRTYPE or (self.kind == tarfile.AREGTYPE and name.endswith(("/", "\\")))


def _next(stream: _Stream) -> _Member | None:
    """Return the next member; None at the end. Extension headers before its own are applied.

    Raises:
        ArchiveUnreadable: there is no header where one should be.
    """
    headers: dict[str, str] = {}
    for _ in range(EXTENSIONS_IN_A_ROW):
        block = stream.read(BLOCK)
        if not block.strip(b"\0"):
            if not headers and len(block) in {0, BLOCK}:
                return None  # the blocks of zeros required at the end may be missing
            raise ArchiveUnreadable("The archive ends in the middle of a header.")
        info = _header(block)
        if info is None or info.size < 0:
            raise ArchiveUnreadable("The tar archive is damaged: there is no header where one should be.")
        if info.type not in EXTENSIONS:
            return _member(stream, info, headers)
        headers |= _extension(info, _body(stream, info.size))
    raise ArchiveUnreadable("The tar archive is damaged: too many headers in a row.")


def _member(stream: _Stream, info: tarfile.TarInfo, headers: dict[str, str]) -> _Member:
    size, name = info.size, headers.get("path", info.name)
    if "size" in headers:
        if not (headers["size"].isascii() and headers["size"].isdecimal() and len(headers["size"]) < 19):
            raise ArchiveUnreadable(f"The tar archive is damaged: {name[:100]!r} has no valid size.")
        size = int(headers["size"])
    stream.ahead = 0 if info.type in WITHOUT_BYTES else -(-size // BLOCK) * BLOCK
    sparse = info.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in headers)
    return _Member(name.encode("utf-8", "surrogateescape"), size, info.type, sparse)


def _fault(member: _Member, name: str, limits: ArchiveLimits) -> ArchiveError | None:
    """Return why a member is refused, judging by its headers."""
    if member.is_sparse:
        return EntryUnreadable(f"{name} is stored as a sparse file.", hint="Make the archive again without --sparse.")
    if fault := place_fault(name, plain=member.kind in PLAIN):
        return fault
    if fault := nested_fault(name):
        return fault
    if member.size > limits.max_entry_bytes:
        return EntryTooLarge(f"{name} has {member.size:,} bytes; at most {limits.max_entry_bytes:,} are allowed.")
    return None


def _header(block: bytes) -> tarfile.TarInfo | None:
    """Return the parsed header, or None if the checksum is wrong."""
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return None


def _body(stream: _Stream, size: int) -> bytes:
    if size > HARMLESS_BYTES:
        raise ArchiveUnreadable(f"The tar archive is damaged: a header alone takes {size:,} bytes.")
    padded = stream.read(-(-size // BLOCK) * BLOCK)
    if len(padded) < size:
        raise ArchiveUnreadable("The archive ends in the middle of a header.")
    return padded[:size]


def _extension(info: tarfile.TarInfo, body: bytes) -> dict[str, str]:
    """Return the fields of an extension header for the member after it."""
    if info.type == LONG_NAME:
        return {"path": _decode(body.partition(b"\0")[0])}
    return dict(_records(body)) if info.type in PAX else {}


def _records(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield the records of a pax header: length, space, key, `=`, value and a line's end."""
    while body.strip(b"\0"):
        digits, _, _ = body[:20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        record = body[:length]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not (equals and key and record.endswith(b"\n") and len(record) == length):
            raise ArchiveUnreadable("The tar archive is damaged: an extended header is invalid.")
        yield _decode(key), _decode(value)
        body = body[length:]


def _decode(raw: bytes) -> str:
    """Return the text, preserving bytes that are not UTF-8."""
    return raw.decode("utf-8", "surrogateescape")
