"""Detects the kind of an archive by its bytes; its name is ignored."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from tsukiji.errors import ArchiveTooLarge
from tsukiji.ingest.archives import tars, zips
from tsukiji.ingest.archives.entries import ArchiveLimits, Entry

ZIP_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
HEAD_BYTES: Final = 512
"""Bytes of a file that `begins_archive` looks at."""


def entries(path: Path, limits: ArchiveLimits, encoding: str | None = None) -> Iterator[Entry]:
    """Yield every file of a zip, tar or tar.gz in order, refused ones with their error.

    Args:
        path: the archive.
        limits: on its content.
        encoding: the code page of names that the archive stores as bytes; None: guessed from all of them.

    Raises:
        ArchiveUnreadable: the file is no archive, or damaged. In a tar this may be found at any entry.
        ArchiveTooLarge: it is larger than allowed, or unpacks to more.
        ArchiveTooManyEntries: it has more entries than allowed.
    """
    size = path.stat().st_size
    if size > limits.max_bytes:
        raise ArchiveTooLarge(f"The archive has {size:,} bytes; at most {limits.max_bytes:,} are allowed.")
    with path.open("rb") as file:
        is_tar = tars.is_tar(file)
    yield from (tars if is_tar else zips).entries(path, limits, encoding)


def begins_archive(head: bytes) -> bool:
    """Return whether a file that begins like this is a zip or a tar; a zip may also follow other data."""
    return head.startswith(ZIP_MAGIC) or tars.is_tar(io.BytesIO(head))


def is_archive(file: IO[bytes]) -> bool:
    """Return whether this may be a supported archive."""
    # Tar first: a tar that ends with a zip would pass for a zip.
    return tars.is_tar(file) or zipfile.is_zipfile(file)
