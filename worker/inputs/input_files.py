"""The files of a job's input: of its archive, or of an allowed folder or S3 prefix."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from db import blobs
from db.models import Job
from tsukiji.errors import EntryIgnored, SourceTooLarge
from tsukiji.ingest.archives import ArchiveLimits, Entry, entries
from tsukiji.ingest.skipped import SkippedFiles
from tsukiji.names import leftover, plain_name
from worker.services import Services


@contextmanager
def opened(
    services: Services, job: Job, source: str | None, encoding: str | None = None
) -> Iterator[Callable[[SkippedFiles], Iterator[Entry]]]:
    """Yield a function that lists the files from the start, without operating systems' junk files.

    Skipped files are counted in the function's argument, as are names whose code page had to be guessed.
    """
    if source is not None:
        yield partial(files_at, services, source)
        return
    with local_archive(services, job) as path:
        limits = ArchiveLimits.of(services.settings.limits)
        yield lambda passed: wanted(entries(path, limits, encoding), passed)


def files_at(services: Services, source: str, passed: SkippedFiles) -> Iterator[Entry]:
    """Yield the files below a URL.

    Raises:
        SourceNotAllowed, SourceMissing, SourceUnreadable
        SourceTooLarge: there are more than the limit for archives.
    """
    limits = services.settings.limits
    found = services.sources.open(source).entries(limits.image_bytes)
    for number, entry in enumerate(wanted(found, passed), 1):
        if number > limits.archive_entries:
            raise SourceTooLarge(f"There are more than {limits.archive_entries:,} files in {source}.")
        yield entry


def wanted(found: Iterator[Entry], passed: SkippedFiles) -> Iterator[Entry]:
    for entry in found:
        if isinstance(entry.error, EntryIgnored):
            passed.add("leftovers_passed_over", entry.name, leftover(plain_name(entry.name)))
            continue
        if entry.guessed is not None:
            passed.add("names_guessed", entry.name, entry.guessed)
        yield entry


@contextmanager
def local_archive(services: Services, job: Job) -> Iterator[Path]:
    """Yield the store's own file if it has one, else a copy."""
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


def discard(services: Services, sha256: str | None) -> None:
    """Delete bytes if they are unreferenced."""
    if sha256 is None:
        return
    with services.database.transaction() as session:
        garbage = blobs.forget(session, [sha256])
    for forgotten in garbage:
        services.store.delete(forgotten)
