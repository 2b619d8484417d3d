"""The interface of folders and prefixes."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Protocol

from tsukiji.errors import ArchiveError, EntryTooLarge
from tsukiji.ingest.archives import Entry
from tsukiji.ingest.archives.entries import nested_fault, place_fault
from tsukiji.names import plain_name


class Source(Protocol):
    """A read-only source of pictures.

    Raises (while iterating and reading):
        SourceMissing: it does not exist.
        SourceUnreadable: the service has no permission to read it.
        StorageUnavailable: it is unreachable now.
    """

    @abstractmethod
    def entries(self, max_bytes: int, after: str | None = None) -> Iterator[Entry]:
        """Yield every file below, in a fixed order; a refused or too large one with its error.

        Args:
            max_bytes: of one file.
            after: begin behind this `place`, whether or not it still exists.
        """

    @abstractmethod
    def read(self, max_bytes: int) -> bytes:
        """Return the bytes of a single file, at most one more than `max_bytes`."""


def fault(name: str, size: int, max_bytes: int, *, plain: bool) -> tuple[str, ArchiveError | None]:
    """Return a file's name for display, and why it is refused."""
    error = place_fault(name, plain=plain) or nested_fault(name)
    if error is None and size > max_bytes:
        error = EntryTooLarge(f"{name} has {size:,} bytes; at most {max_bytes:,} are allowed.")
    return (name if error else plain_name(name)), error
