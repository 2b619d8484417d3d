"""How a table stores labels, detected from its lines, with notes on likely mistakes."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tsukiji.ingest.importers.columns import BOOKKEEPING, NO, OURS, WEAK_FILES, YES, Columns, key_of, named_labels
from tsukiji.ingest.importers.items import Note
from tsukiji.ingest.importers.multilabel import Labelling, choices, json_list, mark_of
from tsukiji.labels import CELL_SEPARATORS
from tsukiji.types import ImportOptions, Kind

COMMA: Final = ","
MISSING: Final = frozenset({"nan", "none", "null", "<na>", "nat"})
"""What programs write for missing values; each could be a label, but an unlikely one."""
ROUNDED: Final = re.compile(r"-?\d+\.0")

Rows = Callable[[], Iterable[Mapping[str, Any]]]
"""Returns all rows, from the start each time: they may not fit into memory."""


def find_labelling(
    header: Sequence[str], rows: Rows, columns: Columns, options: ImportOptions, kind: Kind
) -> tuple[Labelling, list[Note]]:
    """Return how a table stores labels: in a column, in named columns of 0 and 1, or in all such columns.

    Args:
        header: the names of its columns.
        rows: all of them.
        columns: those with known meaning.
        options: of the import.
        kind: of the data set. For `single_label`, columns of 0 and 1 must have exactly one 1 in each row.

    Raises:
        TableInvalid: a column named by the import is missing.
    """
    many, separator = kind == "multi_label", options.separator
    if named := named_labels(header, options):
        return Labelling(many, separator, named), []
    if "label" not in columns:
        found, notes = _marked(header, rows, columns, many)
        return Labelling(many, separator, found), notes
    if set(map(key_of, header)) >= OURS:
        return Labelling(many, separator), []  # multi-label: no need to look for mistakes
    cells = _cells(rows, columns["label"])
    if many and separator is None:
        separator, notes = _separator(cells)
        return Labelling(many, separator), notes
    return Labelling(many, separator), [] if many else list(_odd(cells))


def _marked(header: Sequence[str], rows: Rows, columns: Columns, many: bool) -> tuple[list[str], list[Note]]:
    """Return the columns of 0 and 1 among those without a known meaning."""
    skipped = {*columns.values(), *(name for name in header if key_of(name) in {"", *WEAK_FILES, *BOOKKEEPING})}
    left, seen = {name for name in header if name not in skipped}, set[str]()
    for row in rows():
        cells = {name: word for name in left if (word := mark_of(row.get(name)))}
        left -= {name for name, word in cells.items() if word not in YES | NO}
        seen |= cells.keys()
    found = [name for name in header if name in left & seen]
    if many or not found:
        return found, []
    ones = Counter(sum(mark_of(row.get(name)) in YES for name in found) for row in rows())
    several = sum(count for number, count in ones.items() if number > 1)
    if len(found) > 1 and not several and ones[1] >= ones[0]:
        return found, []
    if len(found) > 1 and several:
        listed = ", ".join(map(repr, found))[:300]
        detail = f"the columns {listed} hold 0 and 1, and {several:,} lines have 1 in several: if these are labels, "
        return [], [Note("columns_look_like_labels", detail + "import into a data set with `--kind multi_label`")]
    return [], []


def _cells(rows: Rows, column: str) -> Counter[str]:
    """Return the texts in a column, and how often each occurs."""
    values = (choices(row.get(column)) for row in rows())
    texts = (value.strip() for value in values if isinstance(value, str))
    return Counter(text for text in texts if text and json_list(text) is None)


def _separator(cells: Counter[str]) -> tuple[str | None, list[Note]]:
    """Return the comma if no cell has a usual separator and some have commas."""
    with_commas = {text: count for text, count in cells.items() if COMMA in text}
    if any(mark in text for text in cells for mark in CELL_SEPARATORS):
        return None, []
    if not with_commas:
        spaced = [text for text in cells if " " in text]
        if len(cells) < 2 or 2 * len(spaced) < len(cells):
            return None, []
        detail = f"labels contain spaces, such as {spaced[0][:100]!r}: if each word is a separate label, "
        way_out = "import into a new data set with `--separator ' '` (`separator` of a request)"
        return None, [Note("labels_look_joined", detail + way_out)]
    detail = (
        f"no cell has {' or '.join(CELL_SEPARATORS)}, and {sum(with_commas.values()):,} have commas, such as "
        f"{next(iter(with_commas))[:100]!r}: the comma was used as the separator of labels; `--separator` sets another "
        "(`separator` of a request)"
    )
    return COMMA, [Note("separator_guessed", detail)]


def _odd(cells: Counter[str]) -> Iterator[Note]:
    """Yield notes on cells that do not look like single labels."""
    missing = {text: count for text, count in cells.items() if text.casefold() in MISSING}
    if missing and len(missing) < len(cells):
        listed = ", ".join(map(repr, missing))
        detail = (
            f"{sum(missing.values()):,} lines have the label {listed}: leave the cell empty if the label is unknown"
        )
        yield Note("labels_look_missing", detail)
    marks = [mark for mark in (*CELL_SEPARATORS, COMMA) if all(mark in text for text in cells)]
    if len(cells) > 1 and marks:
        detail = f"all labels contain {marks[0]}, such as {next(iter(cells))[:100]!r}: if these are several labels, "
        yield Note("labels_look_joined", detail + "import into a data set with `--kind multi_label`")
    if cells and all(ROUNDED.fullmatch(text) for text in cells):
        detail = f"all labels look like {next(iter(cells))!r}: pandas writes whole numbers so if some are missing"
        yield Note("labels_look_rounded", detail)
