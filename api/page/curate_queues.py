"""The queues of the Curate screen: their entries, and the position in them."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from db.curation import analyses, datasets
from db.models import Finding
from db.paging import Window
from db.session import Session
from tsukiji.types import FindingKind, ImageFilter

PENDING: Final = ImageFilter(review="pending", excluded=False)
PART: Final = 1000


@dataclass(frozen=True)
class Queue:
    """One queue.

    Attributes:
        name: in addresses.
        kinds: of the findings in it; none for corrections.
        view: how it is shown: picture by picture, group by group, or as a grid.
    """

    name: str
    title: str
    about: str
    kinds: tuple[FindingKind, ...] = ()
    view: Literal["single", "group", "grid"] = "single"


QUALITY: Final[dict[FindingKind, str]] = {
    "blurry": "Blurry",
    "dark": "Dark",
    "light": "Light",
    "low_information": "Little to see",
    "grayscale": "Grey",
    "odd_size": "Odd size",
    "odd_aspect_ratio": "Long and narrow",
}
LISTED: Final = (
    Queue(
        "suspected-labels",
        "Suspected labels",
        "All other pictures say that these have another label.",
        ("suspected_label",),
    ),
    Queue(
        "conflicting-labels",
        "Conflicting labels",
        "Pictures that look the same and have different labels.",
        ("conflicting_labels",),
        "group",
    ),
    Queue(
        "near-duplicates",
        "Near duplicates",
        "Pictures that look the same. Keep the best of each group.",
        ("near_duplicates",),
        "group",
    ),
    Queue(
        "exact-duplicates",
        "Exact duplicates",
        "The same file came again under other names. It is kept once.",
        ("exact_duplicates",),
    ),
    Queue(
        "leakage",
        "Leakage",
        "Pictures that look the same are both learnt from and tested on, which makes the accuracy too good.",
        ("leaky_splits",),
        "group",
    ),
    Queue("outliers", "Outliers", "Pictures that are like no other in this data set.", ("outlier",)),
    Queue("quality", "Quality", "Blurry, dark, light and other poor pictures.", tuple(QUALITY), "grid"),
    Queue("crops", "Crops", "Only a part of the picture seems to matter.", ("crop",)),
    Queue("corrections", "Corrections", "Predictions that somebody corrected. Accepted ones are learnt from."),
)
QUEUES: Final = {queue.name: queue for queue in LISTED}


@dataclass(frozen=True)
class Entry:
    """What is decided at once: a picture, or a group."""

    at: str
    """In addresses: the group, or the picture."""
    images: tuple[str, ...]
    order: tuple[Any, ...]


def count_all(session: Session, dataset_id: str) -> dict[str, int]:
    """Return the number of entries of each queue."""
    found = analyses.count(session, dataset_id, groups=True)
    counts = {queue.name: sum(found.get(kind, 0) for kind in queue.kinds) for queue in LISTED}
    counts["corrections"] = datasets.count_left_out(session, [dataset_id])[dataset_id][1]
    return counts


def read(session: Session, dataset_id: str, queue: Queue, kinds: Sequence[str] = ()) -> list[Entry]:
    """Return the entries of the queue, in order."""
    if not queue.kinds:
        return read_corrections(session, dataset_id)
    entries: dict[str, Entry] = {}
    for kind, score, group, image_id in analyses.queue(session, dataset_id, kinds or queue.kinds):
        at = group if queue.view == "group" and group else image_id
        images = entries[at].images if at in entries else ()
        order = entries[at].order if at in entries else order_of(kind, score, group, image_id)
        entries[at] = Entry(at, (*images, image_id) if image_id not in images else images, order)
    return list(entries.values())


def read_corrections(session: Session, dataset_id: str) -> list[Entry]:
    found: list[Entry] = []
    window = Window(PART)
    while True:
        page = datasets.page_images(session, dataset_id, window, PENDING)
        found += [Entry(row.id, (row.id,), (row.id,)) for row in page.data]
        if page.next_cursor is None:
            return found
        window = Window(PART, page.next_cursor)


def order_of(kind: str, score: float, group: str, image_id: str) -> tuple[Any, ...]:
    return (kind, score, group or image_id)


@dataclass(frozen=True)
class Place:
    """The position in a queue.

    Attributes:
        entry: what is shown; None if the queue is empty.
        number: from 1 on, of `total`.
        settled: it was decided already, or has changed.
        previous, next: `at` of the neighbours.
    """

    entry: Entry | None
    number: int = 0
    total: int = 0
    settled: bool = False
    previous: str | None = None
    next: str | None = None


def find_place(session: Session, dataset_id: str, queue: Queue, entries: Sequence[Entry], at: str | None) -> Place:
    """Return the position of an entry, by default the first; decided entries are found until the next analysis."""
    if at is None:
        return place_at(entries, 0) if entries else Place(None)
    for number, entry in enumerate(entries):
        if entry.at == at:
            return place_at(entries, number)
    settled = find_settled(session, dataset_id, queue, at)
    if settled is None:
        return place_at(entries, 0) if entries else Place(None)
    orders = [entry.order for entry in entries]
    after, before = bisect_right(orders, settled.order), bisect_left(orders, settled.order)
    return Place(
        settled,
        before,
        len(entries),
        settled=True,
        previous=entries[before - 1].at if before else None,
        next=entries[after].at if after < len(entries) else None,
    )


def place_at(entries: Sequence[Entry], number: int) -> Place:
    return Place(
        entries[number],
        number + 1,
        len(entries),
        previous=entries[number - 1].at if number else None,
        next=entries[number + 1].at if number + 1 < len(entries) else None,
    )


def find_settled(session: Session, dataset_id: str, queue: Queue, at: str) -> Entry | None:
    """Return entries of the last analysis that have no open finding any more."""
    if not queue.kinds:
        found = list(datasets.images_of(session, [at]))
        return Entry(at, (at,), (at,)) if found and found[0].dataset_id == dataset_id else None
    rows = findings_of(session, dataset_id, queue, at)
    if not rows:
        return None
    first = rows[0]
    images = tuple(dict.fromkeys(row.image_id for row in rows))
    return Entry(at, images, order_of(first.kind, first.score, first.group_id, first.image_id))


def findings_of(session: Session, dataset_id: str, queue: Queue, at: str) -> Sequence[Finding]:
    return analyses.found_for(session, dataset_id, queue.kinds, at, grouped=queue.view == "group")
