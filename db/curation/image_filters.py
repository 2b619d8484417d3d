"""Filters on images of a data set, shared by lists and edits."""

from typing import Final

from sqlalchemy import ColumnElement, func, select

from db.labels import has_label
from db.models import Finding, Image, Suggestion
from tsukiji.labels import SEPARATOR
from tsukiji.types import ImageFilter

IN_USE: Final[tuple[ColumnElement[bool], ...]] = (
    Image.excluded.is_(False),
    func.coalesce(Image.review, "accepted") == "accepted",
)
"""The images used by trainings, evaluations and batches: not excluded, and not an unaccepted correction."""
OPEN: Final[tuple[ColumnElement[bool], ...]] = (Image.label.is_(None), *IN_USE)
"""The images that can be in a pile of suggestions."""


def chosen(wanted: ImageFilter, kind: str) -> list[ColumnElement[bool]]:
    """Return the filter's conditions on images of a data set of this kind."""
    found: list[ColumnElement[bool]] = []
    if wanted.unlabelled:
        found.append(Image.label.is_(None))
    if wanted.none_of_these:
        found.append(Image.label == SEPARATOR)
    if wanted.label is not None:
        found.append(has_label(kind, wanted.label))
    if wanted.split is not None:
        found.append(Image.split.is_(None) if wanted.split == "unassigned" else Image.split == wanted.split)
    if wanted.excluded is not None:
        found.append(Image.excluded.is_(wanted.excluded))
    if wanted.review is not None:
        found.append(Image.review == wanted.review)
    if wanted.finding is not None:
        found.append(Image.id.in_(select(Finding.image_id).where(Finding.kind == wanted.finding)))
    if wanted.pile is not None:
        found.append(Image.id.in_(select(Suggestion.image_id).where(Suggestion.pile == wanted.pile)))
        found += OPEN
    return found
