"""The central directory of a zip in parts: `zipfile` loads all of it, more than half a kilobyte of memory per entry.

Each part is presented to `zipfile` as if it were the whole directory, so that it parses every record as usual; this
module only splits records by their lengths. Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.12 to 4.3.16.
"""

import io
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from tsukiji.ingest.archives.encodings import is_utf8

END: Final = struct.Struct("<4s4H2LH")
END64: Final = struct.Struct("<4sQ2H2L4Q")
LOCATOR: Final = struct.Struct("<4sLQL")
RECORD: Final = struct.Struct("<4s24x3H12x")
"""Fixed part of an entry; followed by name, extra fields and comment of the lengths it declares."""
UTF8: Final = 0x800
"""Flag of UTF-8 names."""
COMMENT_BYTES: Final = 2**16
PART_ENTRIES: Final = 1000
PART_BYTES: Final = 2**20


@dataclass(frozen=True)
class Listing:
    """Location of an archive's central directory.

    Attributes:
        path: the archive.
        start: of the directory, in bytes from the beginning of the file.
        size: of the directory in bytes.
        before: bytes of other data before the archive, which offsets in it do not count.
    """

    path: Path
    start: int
    size: int
    before: int

    @classmethod
    def find(cls, path: Path) -> Self:
        """Read the end of an archive.

        Raises:
            zipfile.BadZipFile: it is not a zip.
        """
        with path.open("rb") as file:
            tail = max(0, file.seek(0, io.SEEK_END) - COMMENT_BYTES - END.size)
            found = _read(file, tail, COMMENT_BYTES + END.size)
            at = found.rfind(b"PK\5\6")
            if at < 0 or len(found) < at + END.size:
                raise zipfile.BadZipFile("There is no list of entries at its end.")
            *_, size, offset, _ = END.unpack_from(found, at)
            end = tail + at
            further = max(0, end - LOCATOR.size - END64.size)
            large = _read(file, further, end - further)
            if large.startswith(b"PK\6\6") and large[END64.size :].startswith(b"PK\6\7"):
                *_, size, offset = END64.unpack_from(large)
                end = further
        if size > end:
            raise zipfile.BadZipFile("The list of entries is longer than the file.")
        return cls(path, end - size, size, end - size - offset)

    def parts(self) -> Iterator[zipfile.ZipFile]:
        """Yield the archive repeatedly, each time with the next part of its entries as if they were all.

        Raises:
            zipfile.BadZipFile: the directory is damaged.
        """
        with self.path.open("rb") as file:
            for records in self._cut():
                with zipfile.ZipFile(_Shown(file, self.start, records + self._end(len(records)))) as part:
                    yield part

    def _cut(self) -> Iterator[bytes]:
        """Yield the records, as many at once as a part holds."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            left, part, entries = self.size, bytearray(), 0
            while left:
                head = file.read(RECORD.size)
                if len(head) < RECORD.size or not head.startswith(b"PK\1\2"):
                    raise zipfile.BadZipFile("The list of entries is damaged.")
                head += file.read(sum(RECORD.unpack(head)[1:]))
                if len(head) > left:
                    raise zipfile.BadZipFile("The list of entries is cut short.")
                left -= len(head)
                part += _readable(head)
                entries += 1
                if entries == PART_ENTRIES or len(part) > PART_BYTES or not left:
                    yield bytes(part)
                    part, entries = bytearray(), 0

    def _end(self, size: int) -> bytes:
        """Return what follows a directory of `size` bytes at our position; offsets may take more than 32 bits."""
        offset = self.start - self.before
        large = END64.pack(b"PK\6\6", END64.size - 12, 45, 45, 0, 0, 0, 0, size, offset)
        locator = LOCATOR.pack(b"PK\6\7", 0, offset + size, 1)
        return large + locator + END.pack(b"PK\5\6", 0, 0, 2**16 - 1, 2**16 - 1, 2**32 - 1, 2**32 - 1, 0)


class _Shown(io.RawIOBase):
    """A file up to some position, and other bytes from there on."""

    def __init__(self, file: IO[bytes], place: int, rest: bytes) -> None:
        self._file, self._place, self._rest, self._at = file, place, rest, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._place + len(self._rest)}[whence]
        if start + offset < 0:
            raise OSError("before the beginning")
        self._at = start + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Read available bytes; never across the position, which no record and no entry crosses."""
        if self._at >= self._place:
            start = self._at - self._place
            data = self._rest[start:] if size is None or size < 0 else self._rest[start : start + size]
        else:
            most = self._place - self._at
            data = _read(self._file, self._at, most if size is None or size < 0 else min(size, most))
        self._at += len(data)
        return data


def _readable(record: bytes) -> bytes:
    """Return a record that `zipfile` can parse: one name that falsely claims to be UTF-8 would fail the whole."""
    flags, name_bytes = struct.unpack_from("<8xH18xH", record)
    name = record[RECORD.size : RECORD.size + name_bytes]
    if not flags & UTF8 or is_utf8(name):
        return record
    return record[:8] + struct.pack("<H", flags & ~UTF8) + record[10:]


def _read(file: IO[bytes], place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)
