"""Images of batches and predictions with their results, one by one: from rows, or from lists and parts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from api.services import Services
from db.items import Item
from db.jobs import batches
from db.models import Job, Prediction
from db.parts.pictures import read_found
from db.parts.reading import Found, PartReader
from db.session import Session


@dataclass(frozen=True)
class ResultItem:
    """An image and its result, if it has one. `read` returns the picture's bytes, and raises a `TsukijiError`."""

    item: Item
    found: Prediction | None
    read: Callable[[], bytes]


def find(services: Services, session: Session, job: Job, seq: int) -> ResultItem | None:
    """Return the image with this number; None if there is none."""
    if batches.has_parts(job):
        return next((of_part(services, found) for found in PartReader(session, services.files, job).find([seq])), None)
    items = batches.items_named(session, job.id, [seq])
    return of_row(services, items[0], session.get(Prediction, (job.id, seq))) if items else None


def find_named(
    services: Services, session: Session, job: Job, seqs: Sequence[int], custom_ids: Sequence[str]
) -> list[ResultItem]:
    """Return the images with these numbers or names, last first; all of them if several share a name."""
    if batches.has_parts(job):
        found: Iterable[Found] = PartReader(session, services.files, job).find(seqs, custom_ids)
        return [of_part(services, each) for each in found][::-1]
    return [of_row(services, item) for item in batches.items_named(session, job.id, seqs, custom_ids)]


def of_row(services: Services, item: Item, found: Prediction | None = None) -> ResultItem:
    return ResultItem(item, found, partial(services.store.read, item.sha256 or ""))


def of_part(services: Services, found: Found) -> ResultItem:
    row = found.row
    item = Item(row.seq, row.custom_id, row.sha256, found.crop, row.true_label, row.error)
    result = Prediction(seq=row.seq, heatmap=row.heatmap, width=row.width, height=row.height)
    largest = services.settings.limits.image_bytes
    return ResultItem(item, result, partial(read_found, services.store, services.sources, found, largest))
