"""Images that an act is for, by their ids or by a filter, and one value for all of them."""

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
    """Note one value for all images of a selection.

    Raises:
        NotFound: one that is named is not in the data set.
    """
    for conditions in selected(session, dataset, selection):
        revisions.note_where(session, revision, value, *conditions, *more)


def selected(session: Session, dataset: Dataset, selection: ImageSelection) -> list[Sequence[ColumnElement[bool]]]:
    """Return conditions that together, each by itself, take in the selection.

    Raises:
        NotFound: one that is named is not in the data set.
    """
    if selection.filter is not None:
        return [chosen(selection.filter, dataset.kind)]
    ids = list(dict.fromkeys(selection.images or []))
    list(revisions.facts(session, dataset.id, ids))
    return [[Image.id.in_(part)] for part in revisions.parts(ids)]
