"""Groups: many blobs in one file, which is synced once. Their bytes, then an index, then its length.

A group is a journal: its blobs are copied to files of their own afterwards, and then it is deleted.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Final

from tsukiji.kernel.storage.blobs import CHUNK_BYTES, Blob

LENGTH: Final = struct.Struct("<Q")
CACHED: Final = 256
"""Indexes; a group never changes."""


@dataclass(frozen=True)
class Member:
    """A blob in a group, and the offset of its first byte."""

    group: Path
    blob: Blob
    offset: int

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes. Raises FileNotFoundError if the group was deleted."""
        with self.group.open("rb") as file:
            file.seek(self.offset)
            left = self.blob.size
            while left and (piece := file.read(min(left, CHUNK_BYTES))):
                left -= len(piece)
                yield piece


def write_index(file: IO[bytes], blobs: Sequence[Blob]) -> None:
    """End a group to which the bytes of these blobs were written, in order."""
    index = json.dumps([[blob.sha256, blob.size] for blob in blobs], separators=(",", ":")).encode()
    file.write(index + LENGTH.pack(len(index)))


@lru_cache(CACHED)
def members(group: Path) -> dict[str, Member]:
    """Return the blobs of a group by hash.

    Raises:
        FileNotFoundError: it was deleted.
    """
    with group.open("rb") as file:
        end = file.seek(-LENGTH.size, 2)
        (length,) = LENGTH.unpack(file.read(LENGTH.size))
        file.seek(end - length)
        index = json.loads(file.read(length))
    found, offset = {}, 0
    for sha256, size in index:
        found[sha256] = Member(group, Blob(sha256, size), offset)
        offset += size
    return found
