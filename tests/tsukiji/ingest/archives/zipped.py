"""What the tests of zips share: limits, and what became of each entry."""

import zipfile

from tsukiji import errors
from tsukiji.ingest.archives import ArchiveLimits, entries

LIMITS = ArchiveLimits(max_bytes=2**24, max_entries=50, max_expanded_bytes=2**27, max_entry_bytes=2**22, max_ratio=100)
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


def verdicts(path, limits=LIMITS):
    """Name to bytes, or to the code of the error."""
    found = []
    for entry in entries(path, limits):
        try:
            found.append((entry.name, entry.read()))
        except errors.ArchiveError as error:
            found.append((entry.name, error.code))
    return found


def patch(path, old, new, count=None):
    data = path.read_bytes()
    assert data.count(old) >= 1
    path.write_bytes(data.replace(old, new, *([] if count is None else [count])))
