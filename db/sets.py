"""Sets of labels in columns of text, as `tsukiji.labels.join_labels` writes them."""

from typing import Any

from sqlalchemy import ColumnElement, or_

from tsukiji.labels import SEPARATOR


def holds(column: Any, label: str) -> ColumnElement[bool]:
    """Return whether a row's text is this label, or a set with it."""
    return or_(column == label, column.contains(f"{SEPARATOR}{label}{SEPARATOR}", autoescape=True))
