"""Several labels in one line of a table: a list in its cell, or columns of 0 and 1 that are named like labels."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tsukiji.importers.items import words
from tsukiji.json_input import read_json
from tsukiji.labels import CELL_SEPARATORS

YES: Final = frozenset({"1", "1.0", "true"})
NO: Final = frozenset({"0", "0.0", "false", ""})

Found = tuple[tuple[str, ...], bool]
"""The labels, and whether the line says that there are none; where it does not, they are not known."""


@dataclass(frozen=True)
class Labelling:
    """How a table tells labels.

    Attributes:
        many: may a line have several? Else what its cell holds is one label.
        separator: between those of one cell, where it is not the usual.
        columns: of 0 and 1, in place of a cell.
    """

    many: bool = False
    separator: str | None = None
    columns: Sequence[str] = ()


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


def json_list(text: str) -> list[Any] | None:
    """Return the list that a text is; None where it is none."""
    try:
        found = read_json(text) if text.lstrip().startswith("[") else None
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def marked(row: Mapping[str, Any], columns: Sequence[str]) -> Found:
    """Return the names of the columns that hold 1. An empty cell counts as 0; a row of such says nothing.

    Raises:
        ValueError: a cell holds something else.
    """
    cells = {name: spelt(row.get(name)) for name in columns}
    if wrong := [name for name, cell in cells.items() if cell not in YES | NO]:
        raise ValueError(f"the column {wrong[0]!r} holds {cells[wrong[0]][:50]!r} where 0 or 1 is a label's")
    labels = words([name for name, cell in cells.items() if cell in YES])
    return labels, not labels and any(cells.values())


def find_marked(header: Sequence[str], rows: Iterable[Sequence[str] | ValueError], known: Iterable[str]) -> list[str]:
    """Return the columns of 0 and 1 among those that are not known by their names."""
    taken, wrong, seen = set(known), set(), set()
    for row in rows:
        if isinstance(row, ValueError) or len(row) != len(header):
            continue  # its own line will say so
        for place, cell in enumerate(row):
            if (word := spelt(cell)) not in YES | NO:
                wrong.add(place)
            elif word:
                seen.add(place)
    return [name for place, name in enumerate(header) if name.strip() and name not in taken and place in seen - wrong]


def spelt(cell: Any) -> str:
    return "" if cell is None else str(cell).strip().lower()
