"""The outcome of each file of an import."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from db.models import Image, ImportItem
from db.paging import Rows, Window, fetch
from tsukiji.labels import split_labels


def add_verdicts(session: Session, job_id: str, verdicts: Sequence[dict[str, Any]]) -> None:
    """Write verdicts (seq, name, verdict, label, image_id, error)."""
    if verdicts:
        session.execute(insert(ImportItem), [{"job_id": job_id, **verdict} for verdict in verdicts])


def count_verdicts(session: Session, job_id: str) -> dict[str, int]:
    query = select(ImportItem.verdict, func.count()).where(ImportItem.job_id == job_id).group_by(ImportItem.verdict)
    return {row[0]: row[1] for row in session.execute(query)}


def next_seq(session: Session, job_id: str) -> int:
    """Return the number at which an interrupted import continues."""
    last = session.scalar(select(func.max(ImportItem.seq)).where(ImportItem.job_id == job_id))
    return 0 if last is None else last + 1


def count_errors(session: Session, job_id: str) -> list[tuple[str, int]]:
    """Return error codes of rejected files with their counts, most frequent first."""
    code, images = ImportItem.error["code"].as_string(), func.count()
    query = select(code, images).where(ImportItem.job_id == job_id, ImportItem.verdict == "rejected").group_by(code)
    return [(row[0], row[1]) for row in session.execute(query.order_by(images.desc(), code))]


def labels_of(session: Session, job_id: str) -> set[str]:
    """Return the labels assigned to an import's files."""
    query = select(ImportItem.label).where(ImportItem.job_id == job_id, ImportItem.label.is_not(None)).distinct()
    return {label for text in session.scalars(query) for label in split_labels(text or "")}


def under_two_labels(session: Session, job_id: str) -> tuple[int, tuple[tuple[str, str], tuple[str, str]] | None]:
    """Return the number of images added again with another label, and both names and labels of one of them."""
    query = select(ImportItem.name, ImportItem.label, Image.name, Image.label, Image.id)
    query = query.join(Image, Image.id == ImportItem.image_id).where(ImportItem.job_id == job_id)
    query = query.where(
        ImportItem.verdict == "duplicate", ImportItem.label != Image.label, ImportItem.name != Image.name
    )
    found = session.execute(query.order_by(ImportItem.seq)).all()
    if not found:
        return 0, None
    name, label, first, kept, _ = found[0]
    return len({row[4] for row in found}), ((first, kept or ""), (name, label or ""))


def page_verdicts(
    session: Session, job_id: str, window: Window, verdict: str | None = None, error: str | None = None
) -> Rows[ImportItem]:
    """Return the files in order, optionally filtered by verdict or error code."""
    query = select(ImportItem).where(ImportItem.job_id == job_id)
    if verdict is not None:
        query = query.where(ImportItem.verdict == verdict)
    if error is not None:
        query = query.where(ImportItem.error["code"].as_string() == error)
    return fetch(session, query, ImportItem.seq, window)
