"""TIFF directories, the format of EXIF too, and the orientation in EXIF or XMP. Reads only requested tags."""

import re
import struct
from dataclasses import dataclass
from typing import Final, Self

ORIENTATION: Final = 0x0112
MOST_ENTRIES: Final = 4096
"""Of a directory; entries are sorted by tag, and none we need comes later."""
MOST_NUMBERS: Final = 2**20

_HEADER: Final = re.compile(rb"(?:Exif\0\0){0,2}")
_XMP: Final = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_INTEGERS: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""The types of whole numbers, in the letters of `struct`."""
SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


@dataclass(frozen=True, slots=True)
class Entry:
    """A tag in a directory."""

    raw: bytes
    type: int
    count: int
    at: int
    """Where its values are."""


@dataclass(frozen=True, slots=True)
class Directory:
    entries: dict[int, Entry]
    next: int
    """Offset of the next directory; 0: none."""


@dataclass(frozen=True, slots=True)
class Tiff:
    """The bytes of a TIFF, classic or big, in either order."""

    data: bytes
    order: str
    big: bool
    first: int
    """Offset of the first directory."""

    @classmethod
    def of(cls, data: bytes) -> Self | None:
        """Return None if the bytes do not begin like a TIFF."""
        order = {b"II": "<", b"MM": ">"}.get(data[:2])
        if order is None or len(data) < 8:
            return None
        big = 43 in data[2:4]
        if big:
            return cls(data, order, big, struct.unpack_from(order + "Q", data, 8)[0]) if len(data) >= 16 else None
        return cls(data, order, big, struct.unpack_from(order + "I", data, 4)[0])

    @property
    def entry_bytes(self) -> int:
        return 20 if self.big else 12

    def directory(self, at: int) -> Directory | None:
        """Return a directory; None if the file ends before it does."""
        counter, entry, link = ("Q", "HHQ", "Q") if self.big else ("H", "HHI", "I")
        begin = at + struct.calcsize(counter)
        if not 0 < at < begin <= len(self.data):
            return None
        count: int = struct.unpack_from(self.order + counter, self.data, at)[0]
        end = begin + count * self.entry_bytes
        after = end + struct.calcsize(link)
        if end > len(self.data):
            return None
        entries: dict[int, Entry] = {}
        head = struct.calcsize("=" + entry)
        for place in range(begin, min(end, begin + MOST_ENTRIES * self.entry_bytes), self.entry_bytes):
            tag, kind, number = struct.unpack_from(self.order + entry, self.data, place)
            inline = number * SIZES.get(kind, 1) <= self.entry_bytes - head
            where = place + head if inline else struct.unpack_from(self.order + link, self.data, place + head)[0]
            entries.setdefault(tag, Entry(self.data[place : place + self.entry_bytes], kind, number, where))
        following = struct.unpack_from(self.order + link, self.data, end)[0] if after <= len(self.data) else 0
        return Directory(entries, following)

    def numbers(self, directory: Directory, tag: int) -> tuple[int, ...]:
        """Return the integers of a tag; none if it is missing or holds no integers."""
        entry = directory.entries.get(tag)
        if entry is None or entry.type not in _INTEGERS or not 0 < entry.count <= MOST_NUMBERS:
            return ()
        form = f"{self.order}{entry.count}{_INTEGERS[entry.type]}"
        if entry.at + struct.calcsize(form) > len(self.data):
            return ()
        return struct.unpack_from(form, self.data, entry.at)

    def number(self, directory: Directory, tag: int, default: int = 0) -> int:
        return (self.numbers(directory, tag) or (default,))[0]


def orientation_of(exif: bytes, xmp: bytes = b"") -> int:
    """Return the orientation, 1 to 8, from EXIF or else XMP; malformed metadata is ignored."""
    found: tuple[int, ...] = ()
    tiff = Tiff.of(exif[_HEADER.match(exif).end() :])  # type: ignore[union-attr]  # it matches everything
    if tiff and (directory := tiff.directory(tiff.first)):
        found = tiff.numbers(directory, ORIENTATION)
    if not found and (match := _XMP.search(xmp)):
        found = (int(match[1]),)
    return found[0] if len(found) == 1 and 1 <= found[0] <= 8 else 1
