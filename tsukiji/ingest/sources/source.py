"""What a folder and a prefix have in common."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Protocol

from tsukiji.errors import ArchiveError, EntryTooLarge
from tsukiji.ingest.archives import Entry
from tsukiji.ingest.archives.entries import nested_fault, place_fault
from tsukiji.names import plain_name


class Source(Protocol):
    """A place that pictures are read from, never written to.

    Raises (while iterating and reading):
        SourceMissing: there is nothing.
        SourceUnreadable: the service may not read it.
        StorageUnavailable: it cannot be reached now.
    """

    @abstractmethod
    def entries(self, max_bytes: int) -> Iterator[Entry]:
        """Yield every file below, in an order that stays; a refused one or one of more bytes with its error."""

    @abstractmethod
    def read(self, max_bytes: int) -> bytes:
        """Return the bytes of the one file that this is, one more than `max_bytes` at most."""


def fault(name: str, size: int, max_bytes: int, *, plain: bool) -> tuple[str, ArchiveError | None]:
    """Return a file's name as it is shown, and why it is refused."""
    error = place_fault(name, plain=plain) or nested_fault(name)
    if error is None and size > max_bytes:
        error = EntryTooLarge(f"{name} has {size:,} bytes; at most {max_bytes:,} are allowed.")
    return (name if error else plain_name(name)), error
