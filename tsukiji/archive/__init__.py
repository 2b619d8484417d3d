"""An archive as a stream of named bytes, each good or refused with a reason. Writes nothing; knows no pictures."""

from tsukiji.archive.entries import ArchiveLimits, Entry
from tsukiji.archive.kinds import entries, is_archive

__all__ = ["ArchiveLimits", "Entry", "entries", "is_archive"]
