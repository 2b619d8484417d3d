"""Edits of the label sets of a `multi_label` data set, recorded in revisions.

Equal sets have equal texts, so a change is computed once for each distinct set.
"""

from collections.abc import Callable, Iterable

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from db.curation import revisions
from db.labels import set_text
from db.models import Image, Revision
from tsukiji.labels import split_labels

Change = Callable[[frozenset[str]], frozenset[str]]
"""From an image's labels to its new ones."""


def note_change(session: Session, revision: Revision, change: Change, *conditions: ColumnElement[bool]) -> None:
    """Record the new sets of all labelled images that meet the conditions.

    Raises:
        LabelRefused: a set's text would be too long.
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
    """Return a function that removes some labels from a set that has any of them, and adds others."""
    old, new = frozenset(labels), frozenset(into)
    return lambda before: (before - old) | new if before & old else before
