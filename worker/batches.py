"""Planning a batch: what it reads becomes items, a thousand at a time, and the items are cut into chunks."""

import itertools
from collections.abc import Iterable
from typing import Any

from db import batches, blobs, jobs, turns
from db.models import Job
from db.session import Session
from tsukiji.errors import BatchEmpty, BatchTooLarge
from tsukiji.jobs import Task
from worker.archives import discard
from worker.claimed import Stale
from worker.inputs import PAGE, Item, items_of
from worker.lease import Lease
from worker.services import Services


def plan(services: Services, job: Job, lease: Lease) -> None:
    """Write the items as they are read; the chunks, and that the batch is planned, in one transaction at the end."""

    def checked() -> Iterable[Item]:
        for item in items_of(services, job):
            lease.check()
            yield item

    store(services, job, checked())


def store(services: Services, job: Job, items: Iterable[Item]) -> None:
    """Insert the items, cut them into chunks, and wake workers for those.

    Memory stays flat, however many they are. What an earlier attempt inserted is deleted first: it had no chunks yet.

    Raises:
        BatchEmpty, BatchTooLarge
        Stale: the attempt is not current.
    """
    stream, count = iter(items), 0
    begin(services, job)
    while page := list(itertools.islice(stream, PAGE)):
        check_size(services, count + len(page))
        add_page(services, job, page, count)
        count += len(page)
    if not count:
        raise BatchEmpty(f"Nothing to classify in {job.request['input']}.")
    settings = services.settings.jobs
    with services.database.transaction() as session:
        if jobs.beat(session, job.id, job.attempt, settings.lease_seconds).lost:
            raise Stale
        batches.cut(session, job, count, settings.chunk_images, settings.max_attempts)
        hands = turns.hands(session, count)
        jobs.change(session, Job.id == job.id, upload_sha256=None)
    discard(services, job.upload_sha256)
    wake(services, job.id, hands)


def begin(services: Services, job: Job) -> None:
    with services.database.transaction() as session:
        beat(services, session, job, items_total=0, total=0)
        batches.clear_items(session, job.id)


def add_page(services: Services, job: Job, page: list[Item], first_seq: int) -> None:
    with services.database.transaction() as session:
        count = first_seq + len(page)
        beat(services, session, job, items_total=count, total=count, phase="reading")
        kept = [(item["sha256"], item.pop("bytes")) for item in page]
        blobs.keep(session, (pair for pair in kept if pair[0]))
        batches.add_items(session, job.id, page, first_seq)


def beat(services: Services, session: Session, job: Job, **progress: Any) -> None:
    """Renew the lease and write progress, in the transaction that writes items.

    Raises:
        Stale: the attempt is not current.
    """
    if jobs.beat(session, job.id, job.attempt, services.settings.jobs.lease_seconds, **progress).lost:
        raise Stale


def wake(services: Services, job_id: str, hands: int) -> None:
    """Send a message to each worker that can help; what is not sent now the dispatcher sends."""
    if sum(services.wakeups.send(Task.CHUNK, job_id) for _ in range(hands)):
        with services.database.transaction() as session:
            jobs.mark_sent(session, [job_id])


def check_size(services: Services, items: int) -> None:
    """Raise BatchTooLarge over the limit."""
    allowed = services.settings.limits.batch_items
    if items > allowed:
        raise BatchTooLarge(f"A batch may hold {allowed} images.")
