"""Images that pictures are compared with, and what is known of them."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from db.curation.image_filters import IN_USE
from db.models import Evaluation, EvaluationItem, Finding, Image

ASKED = 500

Picture = Row[tuple[Any, ...]]
"""id, sha256, crop."""


def pictures_after(session: Session, dataset_id: str, after: str, limit: int) -> Sequence[Picture]:
    """Return the next images of a data set, oldest first, also those that are not in use."""
    columns: tuple[Any, ...] = (Image.id, Image.sha256, Image.crop)
    query = select(*columns).where(Image.dataset_id == dataset_id, Image.id > after)
    return session.execute(query.order_by(Image.id).limit(limit)).all()


def in_use(session: Session, image_ids: Sequence[str]) -> set[str]:
    """Return those of these images that exist and are in use."""
    found: set[str] = set()
    for start in range(0, len(image_ids), ASKED):
        part = image_ids[start : start + ASKED]
        found.update(session.scalars(select(Image.id).where(Image.id.in_(part), *IN_USE)))
    return found


def named(session: Session, image_ids: Sequence[str]) -> Iterator[Row[tuple[Any, ...]]]:
    """Yield (id, name, label, split) of those of these images that are in use."""
    columns: tuple[Any, ...] = (Image.id, Image.name, Image.label, Image.split)
    for start in range(0, len(image_ids), ASKED):
        part = image_ids[start : start + ASKED]
        yield from session.execute(select(*columns).where(Image.id.in_(part), *IN_USE))


def finding_kinds(session: Session, dataset_id: str) -> dict[str, list[str]]:
    """Return the kinds of findings of each image that has any, by the last analysis."""
    found: dict[str, list[str]] = {}
    query = select(Finding.image_id, Finding.kind).where(Finding.dataset_id == dataset_id)
    for image_id, kind in session.execute(query.order_by(Finding.kind)):
        found.setdefault(image_id, []).append(kind)
    return found


def predicted_labels(session: Session, dataset_id: str) -> dict[str, str]:
    """Return what the last evaluation on the data set predicted of its images."""
    last = select(Evaluation.id).where(Evaluation.dataset_id == dataset_id).order_by(Evaluation.id.desc()).limit(1)
    columns = (EvaluationItem.image_id, EvaluationItem.predicted_label)
    query = select(*columns).where(EvaluationItem.evaluation_id.in_(session.scalars(last).all()))
    return {image_id: label for image_id, label in session.execute(query) if image_id}
