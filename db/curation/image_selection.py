"""Selections of images for an edit: by id or by filter."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from db.curation import revisions
from db.curation.image_filters import chosen
from db.models import Dataset, Image, Revision
from tsukiji.types import ImageSelection


def note_selected(
    session: Session,
    dataset: Dataset,
    revision: Revision,
    selection: ImageSelection,
    value: Any,
    *more: ColumnElement[bool],
) -> None:
    """Record one value for all selected images.

    Raises:
        NotFound: a named image is not in the data set.
    """
    for conditions in selected(session, dataset, selection):
        revisions.note_where(session, revision, value, *conditions, *more)


def selected(session: Session, dataset: Dataset, selection: ImageSelection) -> list[Sequence[ColumnElement[bool]]]:
    """Return lists of conditions, one list per statement, which together cover the selection.

    Raises:
        NotFound: a named image is not in the data set.
    """
    if selection.filter is not None:
        left_out = [Image.id.not_in(part) for part in revisions.parts(list(dict.fromkeys(selection.except_)))]
        return [[*chosen(selection.filter, dataset.kind), *left_out]]
    ids = list(dict.fromkeys(selection.images or []))
    list(revisions.facts(session, dataset.id, ids))
    return [[Image.id.in_(part)] for part in revisions.parts(ids)]
