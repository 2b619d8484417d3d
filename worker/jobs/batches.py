"""Planning a batch: its input becomes items, up to a thousand per transaction, and the items are cut into chunks.

An archive or a manifest is cut while it is read: workers classify the first images while the next are read, and an
attempt continues where the one before stopped, since it reads the same. Inputs that may change between two attempts (a
data set, a folder) are cut when complete.
"""

import itertools
from collections.abc import Iterable
from typing import Final

from db import blobs
from db.jobs import batches, jobs
from db.jobs.requests import ArchiveInput, BatchRequest, ManifestInput
from db.jobs.scheduling import workers_to_wake
from db.models import Job
from tsukiji.errors import BatchEmpty, BatchTooLarge
from tsukiji.ingest.skipped import SkippedFiles
from tsukiji.jobs import Queue
from worker.inputs.batch_inputs import PAGE, Item, items_of
from worker.inputs.input_files import discard
from worker.inputs.sanitize import kept
from worker.lease import Lease, renew
from worker.services import Services

UNCHANGING: Final = (ArchiveInput, ManifestInput)
"""Inputs that are the same at each attempt."""
FIRST_PAGE: Final = 64
"""Items; later pages grow: workers begin early, and a large batch takes few transactions."""


def plan(services: Services, job: Job, lease: Lease) -> None:
    """Write the items as they are read."""
    passed = SkippedFiles()

    def checked() -> Iterable[Item]:
        for item in items_of(services, job, passed):
            lease.check()
            yield item

    store(services, job, checked(), passed, cut_early=isinstance(BatchRequest.of(job).input, UNCHANGING))


def store(
    services: Services, job: Job, items: Iterable[Item], passed: SkippedFiles | None = None, *, cut_early: bool = False
) -> None:
    """Insert the items, cut them into chunks, and notify workers: at the end, or after each page.

    Memory is constant. Items of an earlier attempt that are in no chunk are deleted first, and those in one are
    skipped.

    Raises:
        BatchEmpty, BatchTooLarge
        Stale: the attempt is not current.
    """
    count = begin(services, job)
    stream = itertools.islice(items, count, None)
    while page := list(itertools.islice(stream, min(PAGE, max(FIRST_PAGE, count)))):
        check_size(services, count + len(page))
        add_page(services, job, page, count, cut_early=cut_early)
        count += len(page)
    warnings = [] if passed is None else kept(passed.warnings())
    if not count:
        source = BatchRequest.of(job).input.model_dump(exclude_unset=True)
        raise BatchEmpty(f"There are no pictures to classify in {source}. {passed or ''}".rstrip())
    settings = services.settings.jobs
    result = {"result": {"warnings": warnings}} if warnings else {}
    with services.database.transaction() as session:
        renew(session, job, services.settings.jobs)
        jobs.change(session, Job.id == job.id, upload_sha256=None, **result)
        batches.finish_plan(session, job, count, settings.chunk_images, settings.max_attempts)
        idle = workers_to_wake(session, count)
    discard(services, job.upload_sha256)
    services.notifier.notify(Queue.INFER, idle)


def begin(services: Services, job: Job) -> int:
    """Return how many items of an earlier attempt are kept."""
    with services.database.transaction() as session:
        renew(session, job, services.settings.jobs)
        kept = batches.clear_items(session, job.id)
        jobs.change(session, Job.id == job.id, items_total=kept, total=kept)
    return kept


def add_page(services: Services, job: Job, page: list[Item], first_seq: int, *, cut_early: bool) -> None:
    settings, count, idle = services.settings.jobs, first_seq + len(page), 0
    with services.database.transaction() as session:
        renew(session, job, settings, items_total=count, total=count, phase="reading")
        kept = [(item["sha256"], item.pop("bytes")) for item in page]
        blobs.keep(session, (pair for pair in kept if pair[0]))
        batches.add_items(session, job.id, page, first_seq)
        if cut_early:
            batches.cut(session, job, count, settings.chunk_images, settings.max_attempts)
            idle = workers_to_wake(session, len(page))
    services.notifier.notify(Queue.INFER, idle)


def check_size(services: Services, items: int) -> None:
    """Raise BatchTooLarge beyond the limit."""
    allowed = services.settings.limits.batch_items
    if items > allowed:
        raise BatchTooLarge(f"A batch may have {allowed} images.")
