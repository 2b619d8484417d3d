"""Miniatures: small versions of pictures for comparison (`tsukiji.vision.miniature`)."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.blobs import upsert
from db.models import ImageMiniature

PART: Final = 500


def add_miniatures(session: Session, miniatures: Mapping[str, bytes]) -> None:
    """Insert miniatures by image id; existing ones are not replaced."""
    if rows := [{"image_id": image_id, "pixels": pixels} for image_id, pixels in miniatures.items()]:
        session.execute(upsert(session, ImageMiniature).on_conflict_do_nothing(), rows)


def miniatures_of(session: Session, image_ids: Sequence[str]) -> dict[str, bytes]:
    """Return the miniatures of images, by id; images older than this feature have none."""
    found: dict[str, bytes] = {}
    for start in range(0, len(image_ids), PART):
        part = image_ids[start : start + PART]
        query = select(ImageMiniature.image_id, ImageMiniature.pixels).where(ImageMiniature.image_id.in_(part))
        found.update((row.image_id, row.pixels) for row in session.execute(query))
    return found
