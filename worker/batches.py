"""Planning a batch: its zip or its data set becomes items, and the items are cut into chunks."""

from pathlib import PurePosixPath
from typing import Any

from db import batches, blobs, datasets, jobs, registry, turns
from db.models import Job
from db.pages import Window
from db.session import Session
from tsukiji import snapshots
from tsukiji.archive import Entry
from tsukiji.errors import BatchEmpty, BatchTooLarge, TsukijiError
from tsukiji.jobs import Task
from worker.archives import discard, files_of, local_archive
from worker.claimed import Stale
from worker.lease import Lease
from worker.services import Services

PAGE = 1000


def plan(services: Services, job: Job, lease: Lease) -> None:
    """Write all items and chunks in one transaction, so that a batch is planned once or not at all."""
    store(services, job, from_zip(services, job, lease) if job.upload_sha256 else from_dataset(services, job))


def store(services: Services, job: Job, items: list[dict[str, Any]]) -> None:
    """Insert the items, cut them into chunks, and wake workers for those.

    Raises:
        BatchEmpty, BatchTooLarge
        Stale: the attempt is not current.
    """
    if not items:
        raise BatchEmpty(f"Nothing to classify in {job.request['input']}.")
    check_size(services, len(items))
    settings = services.settings.jobs
    with services.database.transaction() as session:
        if jobs.beat(session, job.id, job.attempt, settings.lease_seconds).lost:
            raise Stale
        blobs.keep(session, ((item["sha256"], item.pop("bytes")) for item in items if item["sha256"]))
        batches.add_items(session, job.id, items)
        batches.cut(session, job, len(items), settings.chunk_images, settings.max_attempts)
        hands = turns.hands(session, len(items))
        jobs.change(session, Job.id == job.id, upload_sha256=None)
    discard(services, job.upload_sha256)
    wake(services, job.id, hands)


def wake(services: Services, job_id: str, hands: int) -> None:
    """Send a message to each worker that can help; what is not sent now the dispatcher sends."""
    if sum(services.wakeups.send(Task.CHUNK, job_id) for _ in range(hands)):
        with services.database.transaction() as session:
            jobs.mark_sent(session, [job_id])


def from_zip(services: Services, job: Job, lease: Lease) -> list[dict[str, Any]]:
    """Return an item for every file; those that cannot be read carry their reason."""
    items: list[dict[str, Any]] = []
    with local_archive(services, job) as path:
        for entry in files_of(services, path):
            lease.check()
            items.append(item_of(services, entry))
            check_size(services, len(items))
    return items


def item_of(services: Services, entry: Entry) -> dict[str, Any]:
    item: dict[str, Any] = {"custom_id": entry.name, "sha256": None, "bytes": 0}
    try:
        blob = services.store.put(entry.read())
    except TsukijiError as error:
        if error.retriable:
            raise
        return item | {"error": error.to_dict()}
    return item | {"sha256": blob.sha256, "bytes": blob.size}


def from_dataset(services: Services, job: Job) -> list[dict[str, Any]]:
    """Return an item for every image of the data set, or of one split as the model's training saw it.

    The splits of images that it did not see are those of the data set.
    """
    source = job.request["input"]
    with services.database.reading() as session:
        dataset = datasets.find(session, source["dataset"])
        splits = trained_splits(services, session, job, dataset.id) if source["split"] else None
        items: list[dict[str, Any]] = []
        window = Window(PAGE)
        while True:
            rows = datasets.page_images(session, dataset.id, window)
            for image in rows.data:
                split = (splits or {}).get(image.sha256, image.split or image.drawn_split)
                if source["split"] in {None, split}:
                    items.append(
                        {
                            "custom_id": custom_id(image.label, image.name),
                            "sha256": image.sha256,
                            "bytes": image.bytes,
                            "true_label": image.label,
                        }
                    )
            if rows.next_cursor is None:
                return items
            window = Window(PAGE, rows.next_cursor)


def trained_splits(services: Services, session: Session, job: Job, dataset_id: str) -> dict[str, str] | None:
    """Return the splits (by sha256) of the model's own snapshot, if that is of this data set."""
    model = registry.find_model(session, job.request["model"])
    if model.snapshot_id is None or model.dataset_id != dataset_id:
        return None
    snapshot = registry.find_snapshot(session, model.snapshot_id)
    return {item.sha256: item.split or "" for item in snapshots.loads(services.store.read(snapshot.sha256))}


def custom_id(label: str | None, name: str) -> str:
    """Return a name that tells images of different classes apart."""
    return name if label is None or PurePosixPath(name).parent.name == label else f"{label}/{name}"


def check_size(services: Services, items: int) -> None:
    """Raise BatchTooLarge over the limit."""
    allowed = services.settings.limits.batch_items
    if items > allowed:
        raise BatchTooLarge(f"A batch may hold {allowed} images.")
