"""Planning a batch: its input becomes items, up to a thousand per transaction, and the items are cut into chunks.

An archive or a manifest is cut while it is read: workers classify the first images while the next are read, and an
attempt continues where the one before stopped, since it reads the same. Inputs that may change between two attempts (a
data set, a folder) are cut when complete.

A batch with an output has no rows of items: they are listed in files, each the items of a chunk, whatever the input. An
attempt continues behind the last one listed, by its place.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Final

from db import blobs
from db.jobs import batches, jobs
from db.jobs.requests import ArchiveInput, BatchRequest, ManifestInput
from db.jobs.scheduling import workers_to_wake
from db.models import Job
from db.parts.item_lists import ListedItem, encode
from db.parts.item_lists import items_of as listed_items
from tsukiji.errors import BatchEmpty, BatchTooLarge
from tsukiji.ingest.skipped import SkippedFiles
from tsukiji.jobs import LISTING, Queue
from worker.inputs.batch_inputs import PAGE, Item, items_of
from worker.inputs.input_files import discard
from worker.inputs.listed_items import rows_of
from worker.inputs.sanitize import kept
from worker.jobs.part_listing import conclude
from worker.lease import Lease, renew
from worker.services import Services

UNCHANGING: Final = (ArchiveInput, ManifestInput)
"""Inputs that are the same at each attempt."""
FIRST_PAGE: Final = 64
"""Items; later pages grow: workers begin early, and a large batch takes few transactions."""
FIRST_LIST: Final = 1024
"""The same of lists."""
LIST_BYTES: Final = 64 * 2**20


def run(services: Services, job: Job, lease: Lease) -> None:
    """Do the batch's next step as a job; the rest is done in chunks."""
    if job.phase == LISTING:
        conclude(services, job, lease)
    else:
        plan(services, job, lease)


def plan(services: Services, job: Job, lease: Lease) -> None:
    """Write the items as they are read: as rows, or as lists."""
    passed = SkippedFiles()

    def checked(items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            lease.check()
            yield item

    if batches.has_parts(job):
        done, last = begin(services, job), last_list(services, job)
        store_lists(services, job, checked(rows_of(services, job, passed, done, last)), passed, done)
        return
    items = checked(items_of(services, job, passed))
    store(services, job, items, passed, cut_early=isinstance(BatchRequest.of(job).input, UNCHANGING))


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
        check_size(services.settings.limits.batch_items, count + len(page))
        add_page(services, job, page, count, cut_early=cut_early)
        count += len(page)
    finish(services, job, count, passed)


def store_lists(services: Services, job: Job, rows: Iterator[Item], passed: SkippedFiles, count: int) -> None:
    """Store lists of the items after the first `count`, each the next chunk. Memory is constant.

    Raises:
        BatchEmpty, BatchTooLarge
        Stale: the attempt is not current.
    """
    settings = services.settings.jobs
    while page := take_list(rows, min(settings.chunk_images, max(FIRST_LIST, count))):
        check_size(services.settings.limits.parquet_items, count + len(page))
        blob = services.store.put(encode(page, count))
        first, count = count, count + len(page)
        with services.database.transaction() as session:
            renew(session, job, settings, items_total=count, total=count, phase="reading")
            batches.add_list(session, job, (blob.sha256, blob.size), first, count - 1, settings.max_attempts)
            idle = workers_to_wake(session, len(page))
        services.notifier.notify(Queue.INFER, idle)
    finish(services, job, count, passed)


def take_list(rows: Iterator[Item], most: int) -> list[Item]:
    """Return the next items: at most `most`, and pictures of about `LIST_BYTES`."""
    page: list[Item] = []
    held = 0
    for row in rows:
        page.append(row)
        held += len(row.get("content") or b"")
        if len(page) >= most or held >= LIST_BYTES:
            break
    return page


def last_list(services: Services, job: Job) -> list[ListedItem]:
    """Return the items of the last chunk of an earlier attempt; none at the first."""
    with services.database.reading() as session:
        chunk = batches.last_chunk(session, job.id)
    return [] if chunk is None else list(listed_items(services.store, chunk))


def finish(services: Services, job: Job, count: int, passed: SkippedFiles | None) -> None:
    """End the planning; if there are no items, fail."""
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
    if batches.has_parts(job):
        services.notifier.notify(Queue.INTAKE)  # its chunks may all have ended meanwhile


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


def check_size(allowed: int, items: int) -> None:
    """Raise BatchTooLarge beyond the limit."""
    if items > allowed:
        raise BatchTooLarge(f"A batch may have {allowed} images.")
