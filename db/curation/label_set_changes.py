"""Changes of the sets of labels that images of a `multi_label` data set have, noted in revisions.

Equal sets are equal texts, so a change is worked out once for each set that occurs, however many images have it.
"""

from collections.abc import Callable, Iterable

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from db.curation import revisions
from db.labels import set_text
from db.models import Image, Revision
from tsukiji.labels import split_labels

Change = Callable[[frozenset[str]], frozenset[str]]
"""From the labels of an image to those that it is to have."""


def note_change(session: Session, revision: Revision, change: Change, *conditions: ColumnElement[bool]) -> None:
    """Note for all labelled images that meet the conditions what their sets become.

    Raises:
        LabelRefused: one would be too long.
    """
    mine = (Image.dataset_id == revision.dataset_id, Image.label.is_not(None), *conditions)
    wanted: dict[str, str] = {}
    for text in session.scalars(select(Image.label).where(*mine).distinct()):
        before = frozenset(split_labels(text or ""))
        if (after := change(before)) != before:
            wanted[text or ""] = set_text(after)
    revisions.note_mapped(session, revision, wanted, *conditions)


def adding(labels: Iterable[str]) -> Change:
    new = frozenset(labels)
    return lambda before: before | new


def replacing(labels: Iterable[str], into: Iterable[str] = ()) -> Change:
    """Return the change of sets that have some of these labels: without them, and with others."""
    old, new = frozenset(labels), frozenset(into)
    return lambda before: (before - old) | new if before & old else before
