"""How an image's label, or set of labels, is stored as text, by the kind of its data set.

The text format of sets is defined in `tsukiji.labels`. Knows no HTTP.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from db.models import Dataset, Image
from tsukiji.errors import LabelRefused, LabelsSeveral
from tsukiji.labels import SEPARATOR, join_labels

MULTI: Final = "multi_label"


class place_of(FunctionElement[int]):  # noqa: N801 - used in SQL expressions like `func.now()`
    """The 1-based position of a text within another; 0: not found. SQLite's LIKE ignores case."""

    inherit_cache = True
    type = Integer()


@compiles(place_of, "postgresql")
def _in_postgresql(element: place_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"


@compiles(place_of, "sqlite")
def _in_sqlite(element: place_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


def text_of(dataset: Dataset, label: str | None, labels: Sequence[str] | None = None) -> str | None:
    """Return the stored text of an image's label or labels; None: unlabelled.

    Raises:
        LabelsSeveral: the data set has one label per image, and not exactly one is given.
    """
    if dataset.kind == MULTI:
        wanted = [label] if labels is None and label is not None else labels
        return None if wanted is None else set_text(wanted)
    if labels is None:
        return label
    if len(labels) != 1:
        raise too_many(dataset, f"{len(labels)} labels")
    return labels[0]


def too_many(dataset: Dataset, what: str) -> LabelsSeveral:
    return LabelsSeveral(f"The data set {dataset.name!r} is single_label: it cannot hold {what}.")


def set_text(labels: Collection[str]) -> str:
    """Return the set as its text.

    Raises:
        LabelRefused: it is too long.
    """
    try:
        return join_labels(labels)
    except ValueError as error:
        raise LabelRefused(f"An image would have {len(labels)} labels: {error}.", hint="Shorten them.") from error


def has_label(kind: str, label: str) -> ColumnElement[bool]:
    """Return the condition that an image has this label, alone or among others."""
    return holds(Image.label, label) if kind == MULTI else Image.label == label


def holds(column: InstrumentedAttribute[Any], label: str) -> ColumnElement[bool]:
    """Return the condition that a column's set has this label."""
    return place_of(column, f"{SEPARATOR}{label}{SEPARATOR}") > 0
