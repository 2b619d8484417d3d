"""Classifying a chunk of a batch with an output: its pictures are read in groups, and its results become one part.

The next group is read while one is classified. The part is stored under its hash before the chunk's row names it: what
an attempt leaves that has lost its lease is never read, and is deleted as bytes without a row.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any, Final

import pyarrow as pa

from db.items import Item
from db.jobs import batches, jobs
from db.jobs.requests import BatchRequest, SourceInput
from db.models import Chunk, Job
from db.parts import tables
from db.parts.item_lists import STORED, ListedItem, items_of
from db.parts.pictures import read_listed
from db.predictions.decisions import Rule
from db.session import Session
from tsukiji.errors import TsukijiError
from tsukiji.jobs import JobStatus, Queue
from tsukiji.kernel.metrics import meters
from tsukiji.kernel.pipeline import submit_ahead
from tsukiji.kernel.storage.blobs import digest_of
from tsukiji.vision.drift import Distribution
from worker.inference.batch_inference import Classified, Reading, predict
from worker.inference.explanations import ExplanationOptions, explain_items
from worker.inference.model_cache import Loaded
from worker.inputs.sanitize import kept
from worker.lease import Lease, Stale
from worker.part_files import store_part
from worker.services import Services

GROUP_IMAGES: Final = 1024
GROUP_BYTES: Final = 64 * 2**20
UNKNOWN_BYTES: Final = 2**20
"""Assumed of a picture whose size is not listed."""
READERS: Final = 16

Group = list[ListedItem]
Bytes = dict[str, bytes]
"""Pictures by their hash."""


def classify_part(services: Services, job: Job, chunk: Chunk, model: Loaded, lease: Lease) -> None:
    """Classify the chunk, and commit its part.

    Raises:
        Stale: the attempt is not current.
        Stopped: the lease requires it.
    """
    rule, found, began = Rule.of(job), [], time.monotonic()
    distribution: Distribution | None = None
    for group, pictures in groups_of(services, job, chunk, lease):
        classified = look(services, job, model, [each.item for each in group], pictures, lease)
        images = [each.image for each in group]
        found.append(tables.table_of([each.item for each in group], images, classified.rows, rule))
        new = classified.distribution
        distribution = new if distribution is None else distribution + new
    table = pa.concat_tables(found)
    services.chunk_sizing.note(BatchRequest.of(job).model, len(table), time.monotonic() - began)
    lease.check()
    part = store_part(services, job, chunk, table)

    def end(session: Session) -> bool:
        if not batches.finish_part(session, chunk, part, model.engine, distribution):
            raise Stale
        return jobs.find(session, job.id).status == JobStatus.QUEUED

    with meters().write_seconds.time():
        classified_all = services.retry_while_unavailable(end)
    if classified_all:
        services.notifier.notify(Queue.INTAKE)


def look(services: Services, job: Job, model: Loaded, items: list[Item], pictures: Bytes, lease: Lease) -> Classified:
    asked = BatchRequest.of(job)

    def read(sha256: str) -> bytes:
        return pictures[sha256] if sha256 in pictures else services.store.read(sha256)

    reading = Reading.of(services, model.predictor, lease, read)
    classified = predict(model.predictor, items, reading, asked.threshold)
    options = ExplanationOptions(asked.tags, asked.heatmap)
    explain_items(services, model.calibration, options, items, classified.rows, lease.check, read)
    return classified


# --- reading ---------------------------------------------------------------------------------------------------------


def groups_of(services: Services, job: Job, chunk: Chunk, lease: Lease) -> Iterator[tuple[Group, Bytes]]:
    """Yield the items of a chunk in groups with their pictures."""
    named = isinstance(BatchRequest.of(job).input, SourceInput)
    sources = services.sources if named else services.seen_by_caller(job).sources
    largest = services.settings.limits.image_bytes
    yield from groups_read(
        items_of(services.store, chunk, content=True),
        partial(read_listed, services.store, sources, largest=largest),
        lease.check,
    )


def groups_read(
    listed: Iterator[ListedItem],
    read: Callable[[ListedItem], bytes],
    check: Callable[[], None],
    most: int = GROUP_IMAGES,
) -> Iterator[tuple[Group, Bytes]]:
    """Yield items in groups of `most` with their pictures, a group ahead; those in the store are not read yet."""
    with ThreadPoolExecutor(READERS, "pictures") as readers, ThreadPoolExecutor(1, "groups") as pool:
        act = partial(read_group, read, readers, check)
        with closing(submit_ahead(pool, act, grouped(listed, most), 1)) as found:
            for group, pictures in found:
                yield group, pictures.result()


def grouped(listed: Iterator[ListedItem], most: int) -> Iterator[Group]:
    """Yield the items in groups limited by number and bytes."""
    group: Group = []
    size = 0
    for each in listed:
        if group and (len(group) == most or size + weight(each) > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(each)
        size += weight(each)
    if group:
        yield group


def weight(listed: ListedItem) -> int:
    return listed.size or UNKNOWN_BYTES


def read_group(
    read: Callable[[ListedItem], bytes], readers: ThreadPoolExecutor, check: Callable[[], None], group: Group
) -> Bytes:
    """Read the pictures of a group, and set the hash of each item, or its error."""

    def look(listed: ListedItem) -> tuple[str, bytes] | None:
        item = listed.item
        if item.error is not None or (listed.image or "").startswith(STORED):
            return None
        check()
        try:
            data = read(listed)
        except TsukijiError as error:
            if error.retriable:  # the source is down, so not the picture's fault
                raise
            item.error = told(error)
            return None
        item.sha256 = digest_of([data]).sha256
        return item.sha256, data

    return dict(found for found in readers.map(look, group) if found)


def told(error: TsukijiError) -> dict[str, Any]:
    facts: dict[str, Any] = kept(error.to_dict())
    return facts
