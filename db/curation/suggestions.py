"""Suggestions: the piles into which the last round sorted a data set's unlabelled images."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, and_, delete, func, insert, select, tuple_
from sqlalchemy.orm import Session

from db.curation.image_filters import IN_USE, OPEN
from db.models import Finding, Image, Job, Suggestion
from db.paging import Rows, Window
from tsukiji.errors import NotFound
from tsukiji.jobs import JobKind, JobStatus

ORDER: Final = (Suggestion.rank, Suggestion.image_id)

Picture = Row[tuple[Any, ...]]
"""id, sha256, crop, label, and a group or null."""


def count_images(session: Session, dataset_id: str) -> int:
    """Count the images that are in use."""
    return session.scalar(select(func.count()).where(Image.dataset_id == dataset_id, *IN_USE)) or 0


def pictures(session: Session, dataset_id: str) -> Sequence[Picture]:
    """Return the images in use, oldest first; the group is that of the last analysis's near-duplicates, or one
    that the user gave.
    """
    alike = and_(Finding.image_id == Image.id, Finding.kind == "near_duplicates")
    group = func.coalesce(Finding.group_id, Image.group).label("group")
    columns: tuple[Any, ...] = (Image.id, Image.sha256, Image.crop, Image.label, group)
    query = select(*columns).join(Finding, alike, isouter=True)
    query = query.where(Image.dataset_id == dataset_id, *IN_USE)
    return session.execute(query.order_by(Image.id)).all()


def replace(session: Session, dataset_id: str, rows: Sequence[dict[str, Any]]) -> None:
    """Make these (image_id, pile, label, score, rank) the last round; images deleted meanwhile are left out."""
    there = set(session.scalars(select(Image.id).where(Image.dataset_id == dataset_id)))
    session.execute(delete(Suggestion).where(Suggestion.dataset_id == dataset_id))
    if kept := [{"dataset_id": dataset_id, **row} for row in rows if row["image_id"] in there]:
        session.execute(insert(Suggestion), kept)


def rounds(session: Session, dataset_id: str, limit: int) -> list[Job]:
    """Return the last finished jobs of the data set, oldest first.

    Raises:
        NotFound: there is none.
    """
    finished = (Job.dataset_id == dataset_id, Job.kind == JobKind.SUGGESTION, Job.status == JobStatus.SUCCEEDED)
    query = select(Job).where(*finished).order_by(Job.finished_at.desc(), Job.id.desc()).limit(limit)
    found = list(session.scalars(query))[::-1]
    if not found:
        raise NotFound(
            "Nothing has been suggested for this data set yet.",
            hint="POST /v1/datasets/{dataset}/suggestions sorts its unlabelled images.",
        )
    return found


def piles(session: Session, dataset_id: str) -> list[tuple[str, str | None, int, float]]:
    """Return (pile, label, images, lowest score) of each pile; of the doubtful one a row for each likeliest label."""
    columns = (Suggestion.pile, Suggestion.label, func.count(), func.min(Suggestion.score))
    query = select(*columns).join(Image, Image.id == Suggestion.image_id).where(Suggestion.dataset_id == dataset_id)
    rows = session.execute(query.where(*OPEN).group_by(Suggestion.pile, Suggestion.label))
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def page(session: Session, dataset_id: str, pile: str, window: Window) -> Rows[tuple[Suggestion, Image]]:
    """Return a pile's suggestions with their images: the surest first, of the doubtful ones the most useful."""
    query = select(Suggestion, Image).join(Image, Image.id == Suggestion.image_id)
    query = query.where(Suggestion.dataset_id == dataset_id, Suggestion.pile == pile, *OPEN)
    if after := window.after(int, str):
        query = query.where(tuple_(*ORDER) > tuple_(*after))
    rows = [(row[0], row[1]) for row in session.execute(query.order_by(*ORDER).limit(window.limit + 1))]
    more, rows = len(rows) > window.limit, rows[: window.limit]
    last = rows[-1][0] if more else None
    return Rows(rows, window.cursor_after([last.rank, last.image_id]) if last else None)
