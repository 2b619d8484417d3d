"""An archive as a stream of named bytes, each good or refused with a reason. Writes nothing; knows no pictures."""

from tsukiji.ingest.archives.entries import ArchiveLimits, Entry
from tsukiji.ingest.archives.kinds import HEAD_BYTES, begins_archive, entries, is_archive

__all__ = ["HEAD_BYTES", "ArchiveLimits", "Entry", "begins_archive", "entries", "is_archive"]
