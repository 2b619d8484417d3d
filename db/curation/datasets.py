"""Data sets and their images."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from db.blobs import keep, release, upsert
from db.curation.image_filters import IN_USE, chosen
from db.curation.miniatures import add_miniatures
from db.models import Dataset, Image, ImageName
from db.paging import Rows, Window, fetch
from tsukiji.curation.snapshots import SnapshotItem
from tsukiji.errors import Conflict, CropOutside, NotFound
from tsukiji.ids import new_id
from tsukiji.labels import count_labels as by_label
from tsukiji.labels import split_labels
from tsukiji.types import Box, ImageFilter, Kind, Split

Miniature = bytes


@dataclass(frozen=True)
class NewImage:
    """A picture that has been decoded and whose bytes are in the store."""

    name: str
    label: str | None
    split: str | None
    sha256: str
    width: int
    height: int
    bytes: int
    format: str
    group: str | None = None
    """Set by the user: pictures of one group are never divided between training and evaluation."""
    phash: str | None = None
    miniature: Miniature | None = None
    """As `tsukiji.vision.miniature` makes it."""
    crop: Box | None = None
    review: str | None = None


class ImageCounts(NamedTuple):
    """Numbers of a data set's images."""

    labels: list[tuple[str | None, int]]
    """By `Image.label` (a label, a set of them, or None), most frequent first."""
    splits: dict[str, int]
    """By split, or `unassigned`."""


def check_crop(crop: Box | None, width: int, height: int) -> None:
    """Raise CropOutside if the box exceeds its picture."""
    if crop is not None and (width < crop[2] or height < crop[3]):
        raise CropOutside(f"The box {list(crop)} extends beyond the picture, which has {width} x {height} pixels.")


def create(session: Session, name: str, description: str = "", kind: Kind = "single_label") -> Dataset:
    """Insert a data set.

    Raises:
        Conflict: the name is taken.
    """
    if session.scalar(select(Dataset.id).where(Dataset.name == name)):
        raise Conflict(
            f"There is a data set named {name!r} already.", hint="Choose another name, or add images to that data set."
        )
    dataset = Dataset(id=new_id("ds"), name=name, description=description, kind=kind)
    session.add(dataset)
    session.flush()
    return dataset


def find(session: Session, id_or_name: str) -> Dataset:
    """Return the data set with this id, or else this name.

    Raises:
        NotFound
    """
    query = select(Dataset).where((Dataset.id == id_or_name) | (Dataset.name == id_or_name))
    matches = sorted(session.scalars(query), key=lambda dataset: dataset.id != id_or_name)
    if not matches:
        raise NotFound(f"There is no data set {id_or_name!r}.")
    return matches[0]


def lock(session: Session, dataset_id: str) -> None:
    """Lock the data set's row against concurrent edits; images may still be added."""
    session.execute(select(Dataset.id).where(Dataset.id == dataset_id).with_for_update(key_share=True))


def page(session: Session, window: Window) -> Rows[Dataset]:
    return fetch(session, select(Dataset), Dataset.id, window, newest=True)


def remove(session: Session, dataset_id: str) -> None:
    """Delete a data set with its images; unreferenced bytes are collected later."""
    release(session, select(Image.sha256).where(Image.dataset_id == dataset_id))
    session.execute(delete(Dataset).where(Dataset.id == dataset_id))


def count_labels(session: Session, dataset_ids: Sequence[str]) -> dict[str, list[tuple[str | None, int]]]:
    """Return image counts per `Image.label` (a label or a set of them) for each data set, most frequent first."""
    counted = func.count()
    query = select(Image.dataset_id, Image.label, counted).where(Image.dataset_id.in_(dataset_ids))
    counts: dict[str, list[tuple[str | None, int]]] = {dataset_id: [] for dataset_id in dataset_ids}
    for dataset_id, label, images in session.execute(query.group_by(Image.dataset_id, Image.label)):
        counts[dataset_id].append((label, images))
    return {dataset_id: most_frequent_first(rows) for dataset_id, rows in counts.items()}


def labels_of(session: Session, dataset_id: str) -> set[str]:
    """Return every label of the data set's images, excluded ones too."""
    return set(by_label(count_labels(session, [dataset_id])[dataset_id]))


def count_images(session: Session, dataset_ids: Sequence[str]) -> dict[str, ImageCounts]:
    """Return the image counts of each data set, by label and by split, of one pass over the images."""
    columns = (Image.dataset_id, Image.label, Image.split)
    labels: dict[str, Counter[str | None]] = {dataset_id: Counter() for dataset_id in dataset_ids}
    splits: dict[str, Counter[str]] = {dataset_id: Counter() for dataset_id in dataset_ids}
    query = select(*columns, func.count()).where(Image.dataset_id.in_(dataset_ids)).group_by(*columns)
    for dataset_id, label, split, images in session.execute(query):
        labels[dataset_id][label] += images
        splits[dataset_id][split or "unassigned"] += images
    return {each: ImageCounts(most_frequent_first(labels[each].items()), dict(splits[each])) for each in dataset_ids}


def most_frequent_first(counts: Iterable[tuple[str | None, int]]) -> list[tuple[str | None, int]]:
    return sorted(counts, key=lambda row: (-row[1], row[0] or ""))


def count_left_out(session: Session, dataset_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the numbers of excluded images and of those waiting for review, for each data set."""
    query = select(Image.dataset_id, func.count()).where(Image.dataset_id.in_(dataset_ids)).group_by(Image.dataset_id)
    excluded, pending = (
        {row[0]: row[1] for row in session.execute(query.where(condition))}
        for condition in (Image.excluded.is_(True), Image.review == "pending")
    )
    return {dataset_id: (excluded.get(dataset_id, 0), pending.get(dataset_id, 0)) for dataset_id in dataset_ids}


def add_images(session: Session, dataset_id: str, images: Iterable[NewImage]) -> list[tuple[str, bool]]:
    """Insert images, one per picture; returns (image id, is new) for each, in order."""
    images = list(images)
    keep(session, ((image.sha256, image.bytes) for image in images))
    rows: dict[str, dict[str, Any]] = {}
    for image in images:
        facts = {name: value for name, value in vars(image).items() if name != "miniature"}
        rows.setdefault(image.sha256, {"id": new_id("img"), "dataset_id": dataset_id, **facts})
    if rows:
        insert = upsert(session, Image).on_conflict_do_nothing()
        session.execute(insert, list(rows.values()))
    stored = known(session, dataset_id, list(rows))
    add_miniatures(session, {stored[image.sha256]: image.miniature for image in images if image.miniature})
    answers, seen, again = [], set(), []
    for image in images:
        image_id = stored[image.sha256]
        new = image_id == rows[image.sha256]["id"] and image_id not in seen
        answers.append((image_id, new))
        seen.add(image_id)
        if not new:
            again.append((image_id, image.name, image.label))
    keep_names(session, again)
    return answers


def keep_names(session: Session, arrivals: Sequence[tuple[str, str, str | None]]) -> None:
    """Record other names and labels (image id, name, label) of pictures that were added again."""
    first = {row.id: (row.name, row.label) for row in images_of(session, sorted({row[0] for row in arrivals}))}
    rows = [
        {"image_id": image_id, "name_sha256": digest_of(name, label), "name": name, "label": label}
        for image_id, name, label in dict.fromkeys(arrivals)
        if first.get(image_id, (name, label)) != (name, label)
    ]
    if rows:
        session.execute(upsert(session, ImageName).on_conflict_do_nothing(), rows)


def digest_of(name: str, label: str | None) -> str:
    return hashlib.sha256(repr((name, label)).encode("utf-8", "surrogatepass")).hexdigest()


def known(session: Session, dataset_id: str, hashes: Sequence[str]) -> dict[str, str]:
    """Return image ids by sha256, for the hashes that the data set holds."""
    found: dict[str, str] = {}
    for start in range(0, len(hashes), 500):
        part = hashes[start : start + 500]
        query = select(Image.sha256, Image.id).where(Image.dataset_id == dataset_id, Image.sha256.in_(part))
        found.update((sha256, image_id) for sha256, image_id in session.execute(query))
    return found


def page_images(session: Session, dataset_id: str, window: Window, wanted: ImageFilter | None = None) -> Rows[Image]:
    """Oldest first."""
    kind = session.get_one(Dataset, dataset_id).kind
    query = select(Image).where(Image.dataset_id == dataset_id, *chosen(wanted or ImageFilter(), kind))
    return fetch(session, query, Image.id, window)


def page_in_use(session: Session, dataset_id: str, window: Window) -> Rows[Image]:
    """Return the images available to trainings, evaluations and batches, labelled or not; oldest first."""
    return fetch(session, select(Image).where(Image.dataset_id == dataset_id, *IN_USE), Image.id, window)


def labelled_images(session: Session, dataset_id: str) -> list[Image]:
    """Return every image in use that has a label, for a snapshot."""
    mine = (Image.dataset_id == dataset_id, Image.label.is_not(None))
    return list(session.scalars(select(Image).where(*mine, *IN_USE)))


def snapshot_item(image: Image) -> SnapshotItem:
    """Return an image's snapshot entry; its split is the one set by the user, if any."""
    fields = ("sha256", "name", "label", "split", "group", "phash", "crop")
    return SnapshotItem(image_id=image.id, **{name: getattr(image, name) for name in fields})


def count_labelled(session: Session, dataset_id: str) -> list[tuple[str, Split | None, int]]:
    """Return the number of images in use for each label (or set) and split set by the user: a snapshot's content."""
    mine = (Image.dataset_id == dataset_id, Image.label.is_not(None))
    query = select(Image.label, Image.split, func.count()).where(*mine, *IN_USE).group_by(Image.label, Image.split)
    return cast("list[tuple[str, Split | None, int]]", [tuple(row) for row in session.execute(query)])


def all_images(session: Session, dataset_id: str, limit: int) -> list[Image]:
    """Return up to `limit` images in use, oldest first."""
    query = select(Image).where(Image.dataset_id == dataset_id, *IN_USE)
    return list(session.scalars(query.order_by(Image.id).limit(limit)))


def labels_in(session: Session, dataset_id: str, split: str | None = None) -> set[str]:
    """Return the labels of a data set's images in use, optionally of one stored split."""
    query = select(Image.label).where(Image.dataset_id == dataset_id, Image.label.is_not(None), *IN_USE).distinct()
    if split is not None:
        query = query.where(func.coalesce(Image.split, Image.drawn_split) == split)
    return {label for text in session.scalars(query) if text is not None for label in split_labels(text)}


def names_of(session: Session, dataset_id: str) -> dict[str, tuple[str, str]]:
    """Return id and name of each image, by sha256."""
    query = select(Image.sha256, Image.id, Image.name).where(Image.dataset_id == dataset_id)
    return {sha256: (image_id, name) for sha256, image_id, name in session.execute(query)}


def keep_splits(session: Session, dataset_id: str, drawn: Mapping[str, str]) -> None:
    """Store drawn splits (image id -> split), so that later trainings reuse them.

    Locks the data set's row first, so that of two concurrent writers the last one's splits remain. Writes only
    differences: few for most trainings.
    """
    lock(session, dataset_id)
    known = session.execute(select(Image.id, Image.drawn_split).where(Image.dataset_id == dataset_id))
    by_split: dict[str, list[str]] = {}
    for image_id, before in known:
        if (split := drawn.get(image_id, before)) != before and split is not None:
            by_split.setdefault(split, []).append(image_id)
    for split, image_ids in by_split.items():
        for start in range(0, len(image_ids), 500):
            part = image_ids[start : start + 500]
            session.execute(
                update(Image).where(Image.id.in_(part)).values(drawn_split=split),
                execution_options={"synchronize_session": False},
            )


def find_image(session: Session, image_id: str) -> Image:
    """Return the image.

    Raises:
        NotFound
    """
    image = session.get(Image, image_id)
    if image is None:
        raise NotFound(f"There is no image {image_id!r}.")
    return image


def images_of(session: Session, image_ids: Sequence[str]) -> Iterator[Image]:
    """Yield those of these images that exist."""
    for start in range(0, len(image_ids), 500):
        yield from session.scalars(select(Image).where(Image.id.in_(image_ids[start : start + 500])))


def names(session: Session, dataset_ids: Iterable[str]) -> dict[str, str]:
    """Return the names of those of these data sets that exist."""
    rows = session.execute(select(Dataset.id, Dataset.name).where(Dataset.id.in_(sorted(dataset_ids))))
    return {row.id: row.name for row in rows}


def ids(session: Session) -> list[str]:
    """Return the ids of all data sets."""
    return list(session.scalars(select(Dataset.id).order_by(Dataset.id)))


def seen_hashes(session: Session, hashes: Sequence[str]) -> list[str]:
    """Return those of these hashes that an image has, of those that the session sees."""
    found: set[str] = set()
    for start in range(0, len(hashes), 500):
        found.update(session.scalars(select(Image.sha256).where(Image.sha256.in_(hashes[start : start + 500]))))
    return sorted(found)


def remove_image(session: Session, image_id: str) -> None:
    release(session, select(Image.sha256).where(Image.id == image_id))
    session.execute(delete(Image).where(Image.id == image_id))
