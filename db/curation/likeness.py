"""Images that pictures are compared with."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from db.curation.image_filters import IN_USE
from db.models import Image

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
