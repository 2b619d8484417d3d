"""The labels in one line of a table: a cell, a list in a cell, or columns of 0 and 1 named after labels."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tsukiji.ingest.importers.columns import NO, YES
from tsukiji.ingest.importers.items import spelt, words
from tsukiji.json_input import read_json
from tsukiji.labels import CELL_SEPARATORS

Found = tuple[tuple[str, ...], bool]
"""The labels, and whether the line says that there are none; otherwise no labels means unknown."""


@dataclass(frozen=True)
class Labelling:
    """How a table stores labels.

    Attributes:
        many: a line may have several; otherwise its cell holds one label.
        separator: between labels in a cell, if unusual.
        columns: of 0 and 1, instead of a cell.
    """

    many: bool = False
    separator: str | None = None
    columns: Sequence[str] = ()

    def read(self, row: Mapping[str, Any], column: str | None) -> tuple[tuple[str, ...] | None, bool]:
        """Return the labels of a row, and whether it says that there are none; None if it has no labels.

        Raises:
            ValueError: a cell cannot be parsed.
        """
        if self.columns:
            return marked(row, self.columns)
        if column is None:
            return None, False
        value = choices(row[column])
        return in_cell(value, self.separator) if self.many else (words(value), False)


def in_cell(value: Any, separator: str | None) -> Found:
    """Return the labels of a cell: a JSON list, also one written as text, or text with separators.

    Raises:
        ValueError: a label is neither text nor number.
    """
    listed = json_list(value) if isinstance(value, str) else value
    if isinstance(listed, list):
        return words(listed), not listed
    if not isinstance(value, str):
        return words(value), False
    pattern = f"[{re.escape(CELL_SEPARATORS)}]" if separator is None else re.escape(separator)
    return words([*re.split(pattern, value)]), False


def choices(value: Any) -> Any:
    """Return the list in Label Studio's form of several choices, `{"choices": ["cat", "indoor"]}`; else the value."""
    found = parsed(value) if isinstance(value, str) and value.startswith('{"choices"') else value
    listed = found.get("choices") if isinstance(found, dict) else None
    return listed if isinstance(listed, list) else value


def json_list(text: str) -> list[Any] | None:
    """Return the list if the text is one in JSON, else None."""
    found = parsed(text) if text.lstrip().startswith("[") else None
    return found if isinstance(found, list) else None


def parsed(text: str) -> Any:
    """Return the parsed JSON; None if malformed."""
    try:
        return read_json(text)
    except ValueError:
        return None


def marked(row: Mapping[str, Any], columns: Sequence[str]) -> Found:
    """Return the names of the columns that hold 1. An empty cell counts as 0; if all are empty, the row says nothing.

    Raises:
        ValueError: a cell holds something else.
    """
    cells = {name: mark_of(row.get(name)) for name in columns}
    if wrong := [name for name, cell in cells.items() if cell and cell not in YES | NO]:
        raise ValueError(f"the column {wrong[0]!r} holds {cells[wrong[0]][:50]!r} where 0 or 1 is a label's")
    labels = words([name for name, cell in cells.items() if cell in YES])
    return labels, not labels and any(cells.values())


def mark_of(cell: Any) -> str:
    """Return the significant part of a cell that may be 0 or 1."""
    return spelt(cell).strip().lower()
