"""Analyses: measures of each picture, and findings in a data set."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.orm import Session

from db.blobs import upsert
from db.clock import now
from db.curation.miniatures import add_miniatures
from db.curation.open_findings import is_open
from db.labels import has_label
from db.models import Analysis, Dataset, Finding, Image, ImageMeasures, ImageName
from db.paging import Rows, Window
from tsukiji.errors import NotFound

PART = 500
ORDER = (Finding.kind, Finding.score, Finding.group_id, Finding.image_id)
"""Order of pages: by kind, worst first, groups together."""
ITS_IMAGE = (Image.id == Finding.image_id) & (Image.dataset_id == Finding.dataset_id)
"""Says the data set too: of other data sets no image is read."""
MEASURES = ("blurry", "dark", "light", "low_information", "grayscale")

Picture = Row[tuple[Any, ...]]
"""An image with its measures; nulls if it has none yet."""


# --- measures --------------------------------------------------------------------------------------------------------


def unmeasured(session: Session, dataset_id: str, after: str, limit: int) -> list[tuple[str, str]]:
    """Return id and sha256 of images without measures, ordered by id."""
    query = select(Image.id, Image.sha256).join(ImageMeasures, ImageMeasures.image_id == Image.id, isouter=True)
    query = query.where(Image.dataset_id == dataset_id, Image.id > after, ImageMeasures.image_id.is_(None))
    return [(row.id, row.sha256) for row in session.execute(query.order_by(Image.id).limit(limit))]


def add_measures(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert measures of images, skipping images deleted meanwhile."""
    there = existing(session, [row["image_id"] for row in rows])
    kept = [{"compared": False, **row} for row in rows if row["image_id"] in there]
    add_miniatures(session, {row["image_id"]: row.pop("miniature") for row in kept})
    if kept:
        session.execute(upsert(session, ImageMeasures).on_conflict_do_nothing(), kept)


def existing(session: Session, image_ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for part in parts(image_ids):
        found.update(session.scalars(select(Image.id).where(Image.id.in_(part))))
    return found


def pictures(session: Session, dataset_id: str) -> Sequence[Picture]:
    """Return all images, oldest first."""
    split = func.coalesce(Image.split, Image.drawn_split).label("split")
    columns = (Image.id, Image.sha256, Image.name, Image.label, split, Image.width, Image.height, Image.bytes)
    measures = (getattr(ImageMeasures, name) for name in (*MEASURES, "hashes", "compared"))
    query = select(*columns, *measures).join(ImageMeasures, ImageMeasures.image_id == Image.id, isouter=True)
    return session.execute(query.where(Image.dataset_id == dataset_id).order_by(Image.id)).all()


def mark_compared(session: Session, image_ids: Sequence[str]) -> None:
    for part in parts(image_ids):
        statement = update(ImageMeasures).where(ImageMeasures.image_id.in_(part)).values(compared=True)
        session.execute(statement, execution_options={"synchronize_session": False})


def other_names(session: Session, dataset_id: str) -> dict[str, list[tuple[str, str | None]]]:
    """Return other (name, label) pairs under which pictures were added, by image id."""
    query = select(ImageName).join(Image, Image.id == ImageName.image_id).where(Image.dataset_id == dataset_id)
    found: dict[str, list[tuple[str, str | None]]] = {}
    for row in session.scalars(query.order_by(ImageName.image_id, ImageName.name)):
        found.setdefault(row.image_id, []).append((row.name, row.label))
    return found


# --- findings --------------------------------------------------------------------------------------------------------


def find(session: Session, dataset_id: str) -> Analysis:
    """Return the last analysis of the data set.

    Raises:
        NotFound: it has none.
    """
    row = session.get(Analysis, dataset_id)
    if row is None:
        hint = "POST /v1/datasets/{dataset}/analyses starts an analysis."
        raise NotFound("This data set has not been analysed yet.", hint=hint)
    return row


def note(
    session: Session,
    dataset_id: str,
    job_id: str,
    images: int,
    unavailable: list[dict[str, Any]],
    prevalent: Mapping[str, int] | None = None,
) -> None:
    """Record that the data set was analysed."""
    facts = {"job_id": job_id, "images": images, "unavailable": unavailable, "finished_at": now()}
    facts["prevalent"] = dict(prevalent or {})
    row = upsert(session, Analysis).values(dataset_id=dataset_id, **facts)
    session.execute(row.on_conflict_do_update(index_elements=[Analysis.dataset_id], set_=facts))


def groups_of(session: Session, dataset_id: str, kind: str) -> dict[str, tuple[str, float]]:
    """Return group and score of each image of a kind of finding, by image id."""
    query = select(Finding.image_id, Finding.group_id, Finding.score)
    rows = session.execute(query.where(Finding.dataset_id == dataset_id, Finding.kind == kind))
    return {row.image_id: (row.group_id, row.score) for row in rows}


def replace(session: Session, dataset_id: str, findings: Iterable[Mapping[str, Any]]) -> None:
    """Replace all findings by these; unchanged rows are not written.

    Each has image_id, kind, score, group_id, suggestion, and optionally the label at the time of the analysis.
    """
    rows = session.execute(select(Image.id, Image.label).where(Image.dataset_id == dataset_id))
    labels = {row.id: row.label for row in rows}
    wanted = {
        (row["image_id"], row["kind"]): {"label": labels[row["image_id"]], **row}
        for row in findings
        if row["image_id"] in labels
    }
    gone: dict[str, list[str]] = {}
    columns = (Finding.score, Finding.group_id, Finding.suggestion, Finding.label)
    query = select(Finding.image_id, Finding.kind, *columns)
    for row in session.execute(query.where(Finding.dataset_id == dataset_id)):
        found = wanted.get((row.image_id, row.kind))
        if found is not None and all(getattr(row, column.key) == found[column.key] for column in columns):
            del wanted[row.image_id, row.kind]
        else:
            gone.setdefault(row.kind, []).append(row.image_id)
    for kind, image_ids in gone.items():
        for part in parts(image_ids):
            statement = delete(Finding).where(Finding.kind == kind, Finding.image_id.in_(part))
            session.execute(statement, execution_options={"synchronize_session": False})
    if wanted:
        session.execute(insert(Finding), [{"dataset_id": dataset_id, **row} for row in wanted.values()])


def count(session: Session, dataset_id: str, *, groups: bool = False) -> dict[str, int]:
    """Return the number of open findings of each kind; with `groups`, a group counts as one."""
    entry = func.coalesce(func.nullif(Finding.group_id, ""), Finding.image_id)
    counted = func.count(entry.distinct()) if groups else func.count()
    query = select(Finding.kind, counted).join(Image, ITS_IMAGE)
    query = query.where(Finding.dataset_id == dataset_id, is_open()).group_by(Finding.kind)
    return {row[0]: row[1] for row in session.execute(query)}


def count_groups(session: Session, dataset_id: str, kind: str) -> int:
    query = select(func.count(Finding.group_id.distinct())).join(Image, ITS_IMAGE)
    return session.scalar(query.where(Finding.dataset_id == dataset_id, Finding.kind == kind, is_open())) or 0


def page(
    session: Session,
    dataset_id: str,
    window: Window,
    *,
    kind: str | None = None,
    label: str | None = None,
    group: str | None = None,
    image_id: str | None = None,
) -> Rows[tuple[Finding, Image]]:
    """Return open findings with their images, in `ORDER`."""
    query = select(Finding, Image).join(Image, ITS_IMAGE)
    query = query.where(Finding.dataset_id == dataset_id, is_open())
    if label is not None:
        query = query.where(has_label(session.get_one(Dataset, dataset_id).kind, label))
    filters = ((Finding.kind, kind), (Finding.group_id, group), (Finding.image_id, image_id))
    for column, value in filters:
        if value is not None:
            query = query.where(column == value)
    if after := window.after(str, float, str, str):
        query = query.where(tuple_(*ORDER) > tuple_(*after))
    rows = [(row[0], row[1]) for row in session.execute(query.order_by(*ORDER).limit(window.limit + 1))]
    more, rows = len(rows) > window.limit, rows[: window.limit]
    last = rows[-1][0] if more else None
    key = last and [last.kind, last.score, last.group_id, last.image_id]
    return Rows(rows, window.cursor_after(key) if key else None)


def queue(session: Session, dataset_id: str, kinds: Sequence[str], most: int | None = None) -> list[tuple[Any, ...]]:
    """Return (kind, score, group, image_id) of the open findings of these kinds, in `ORDER`; all, or the first ones."""
    query = select(*ORDER).join(Image, ITS_IMAGE)
    query = query.where(Finding.dataset_id == dataset_id, Finding.kind.in_(kinds), is_open())
    return [tuple(row) for row in session.execute(query.order_by(*ORDER).limit(most))]


def suggestions(session: Session, dataset_id: str, kind: str, most: int) -> list[tuple[str, str, Any]]:
    """Return (group, image_id, suggestion) of the first open findings of this kind, in `ORDER`."""
    query = select(Finding.group_id, Finding.image_id, Finding.suggestion).join(Image, ITS_IMAGE)
    query = query.where(Finding.dataset_id == dataset_id, Finding.kind == kind, is_open())
    return [(row[0], row[1], row[2]) for row in session.execute(query.order_by(*ORDER).limit(most))]


def found_for(
    session: Session, dataset_id: str, kinds: Sequence[str], at: str, *, grouped: bool = False
) -> Sequence[Finding]:
    """Return the findings of an image, settled ones, too; or of a group, which has the id of one of its images."""
    mine = or_(Finding.image_id == at, Finding.group_id == at) if grouped else Finding.image_id == at
    query = select(Finding).where(Finding.dataset_id == dataset_id, Finding.kind.in_(kinds), mine)
    return session.scalars(query.order_by(*ORDER)).all()


def parts(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + PART] for start in range(0, len(values), PART))
