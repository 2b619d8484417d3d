"""A job's archive as a local file, for as long as it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db import blobs
from db.models import Job
from tsukiji.archive import ArchiveLimits, Entry, entries
from tsukiji.errors import EntryIgnored
from worker.services import Services


@contextmanager
def local_archive(services: Services, job: Job) -> Iterator[Path]:
    """Yield the store's own file where it has one, else a copy."""
    sha256 = job.upload_sha256 or ""
    if path := services.store.local_path(sha256):
        yield path
        return
    copy = services.work_folder("archives") / f"{job.id}-{job.attempt}"
    try:
        services.store.fetch(sha256, copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def files_of(services: Services, path: Path) -> Iterator[Entry]:
    """Yield the archive's entries, less what systems leave behind."""
    limits = ArchiveLimits.of(services.settings.limits)
    return (entry for entry in entries(path, limits) if not isinstance(entry.error, EntryIgnored))


def discard(services: Services, sha256: str | None) -> None:
    """Delete bytes that nothing refers to any more."""
    if sha256 is None:
        return
    with services.database.transaction() as session:
        garbage = blobs.forget(session, [sha256])
    for forgotten in garbage:
        services.store.delete(forgotten)
