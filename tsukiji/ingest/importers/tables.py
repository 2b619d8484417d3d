"""Plain tables, CSV or JSON lines, and those of Hugging Face's imagefolder (`metadata.csv`, `metadata.jsonl`).

Columns are recognised by their usual names, or named by the import.
Hugging Face Datasets, "Create an image dataset", section "ImageFolder".
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final, Literal
from urllib.parse import unquote

from tsukiji.errors import TableInvalid
from tsukiji.ingest.importers import table_reader
from tsukiji.ingest.importers.columns import (
    BOOLEAN_SPLITS,
    NO,
    WEAK_FILES,
    YES,
    Columns,
    box_of,
    check_columns,
    find_columns,
    ignored,
    key_of,
)
from tsukiji.ingest.importers.items import Item, Note, ParsedTable, place, refused, spelt, split_of
from tsukiji.ingest.importers.labelling import find_labelling
from tsukiji.ingest.importers.multilabel import Labelling
from tsukiji.labels import trim
from tsukiji.spreadsheets import plain
from tsukiji.types import ImportOptions, Kind, Split

Record = dict[str, Any]
Records = Callable[[], Iterable[tuple[int, Record | ValueError]]]
"""Returns number and cells of each row, or its error; from the start each time."""
YES_TOO: Final = YES | {"t", "yes", "y"}
NO_TOO: Final = NO | {"f", "no", "n"}


def is_address(text: str) -> bool:
    return bool(re.match(r"\s*[a-z0-9]{2,5}://\S", text))


def read_addresses(text: str) -> Iterator[Item]:
    """Yield an item for each line of a list of addresses."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            file, url = place(line.strip())
            yield Item(number, file=file, url=url)


def csv_records(text: str) -> Iterator[tuple[int, Record | ValueError]]:
    """Yield number and cells by column for each row after the header."""
    rows = table_reader.rows(text)
    _, header = next(rows, (0, []))
    for line, row in rows:
        if isinstance(row, ValueError) or isinstance(header, ValueError):
            yield line, row if isinstance(row, ValueError) else ValueError("the header is not a row")
        elif len(row) != len(header):
            yield line, ValueError(f"it has {len(row)} cells where the header has {len(header)}")
        else:
            yield line, dict(zip(header, map(plain, row), strict=True))


def is_list(document: Any) -> bool:
    """Return whether a JSON document is a list of objects of which the first has a picture's location."""
    first = document[0] if isinstance(document, list) and document else None
    return isinstance(first, dict) and bool({"file", "url"} & find_columns(first, ImportOptions(), WEAK_FILES).keys())


def list_records(document: list[Any]) -> Iterator[tuple[int, Record | ValueError]]:
    for number, one in enumerate(document, 1):
        yield number, one if isinstance(one, dict) else ValueError("not an object")


def read(
    header: list[str], records: Records, options: ImportOptions, names: Iterable[str], kind: Kind, is_csv: bool
) -> ParsedTable:
    """Return a parsed table.

    Args:
        header: the names of its columns; for JSON, the members of its first object.
        records: its rows.
        options: of the import.
        names: of the files beside it.
        kind: of the data set.
        is_csv: all rows have the header's columns. JSON objects may differ.

    Raises:
        TableInvalid: no column has the pictures' locations, or a column named by the import is missing.
    """

    def rows() -> Iterator[Record]:
        return (record for _, record in records() if isinstance(record, dict))

    weak = weak_files(header, rows, names)
    columns = find_columns(header, options, weak)
    check_columns(columns, header)
    labelling, notes = find_labelling(header, rows, columns, options, kind)
    if is_csv and (left := ignored(columns, header, labelling.columns)):
        listed = ", ".join(map(repr, left))[:500]
        notes.append(Note("columns_ignored", f"nothing is made of the columns {listed}"))
    return ParsedTable(_items(columns if is_csv else None, records, options, weak, labelling), notes)


def weak_files(header: Iterable[str], rows: Callable[[], Iterable[Record]], names: Iterable[str]) -> set[str]:
    """Return the keys of the columns that may name files, such as `name` or `id`, and do so in some row."""
    weak = {key: name for name in header if (key := key_of(name)) in WEAK_FILES}
    there = {key for name in names for key in _keys(name)}
    if not there:
        return set(weak)
    return {key for key, name in weak.items() if any(there & _keys(str(row.get(name))) for row in rows())}


def _keys(name: str) -> set[str]:
    """Return a file's name with and without its suffix, case-folded."""
    path = PurePosixPath(unicodedata.normalize("NFC", unquote(name)).casefold())
    return {path.name, path.stem}


def _items(
    columns: Columns | None, records: Records, options: ImportOptions, weak: Collection[str], labelling: Labelling
) -> Iterator[Item]:
    for line, record in records():
        if isinstance(record, ValueError):
            yield refused(line, str(record))
            continue
        try:
            known = columns or find_columns(record, _present(options, record), weak)
            yield item_of(line, record, known, labelling)
        except TableInvalid as error:
            yield refused(line, error.detail)
        except ValueError as error:
            yield refused(line, str(error))


def _present(options: ImportOptions, record: Record) -> ImportOptions:
    """Return the options without columns that an object lacks."""
    named = {column: name for column, name in options.columns.items() if isinstance(name, list) or name in record}
    return ImportOptions(columns=named)


def item_of(line: int, row: Mapping[str, Any], columns: Columns, labelling: Labelling) -> Item:
    """Return the item of a row.

    Raises:
        ValueError: why it has none.
    """
    told = {column: row[name] for column, name in columns.items()}
    where = next((text for column in ("file", "url") if (text := _text(told.get(column))).strip()), "")
    if not where:
        raise ValueError("it has no file and no url")
    file, url = place(where)
    labels, is_none = labelling.read(row, columns.get("label"))
    return Item(
        line=line,
        file=file,
        url=_text(told.get("url")).strip() or url,
        labels=labels,
        is_none=is_none,
        split=_split(columns["split"], _text(told["split"])) if "split" in columns else None,
        group=trim(_text(told.get("group"))) or None,
        crop=box_of(row),
    )


def _split(column: str, text: str) -> Split | Literal["unassigned"]:
    """Return the split in a cell; a column such as `is_valid` is boolean.

    Raises:
        ValueError: it is none.
    """
    word, meant = text.strip().lower(), BOOLEAN_SPLITS.get(key_of(column))
    if meant and word in YES_TOO | NO_TOO:
        return meant[word in NO_TOO] or "unassigned"
    return split_of(text) or "unassigned"


def _text(value: Any) -> str:
    """Return the text of a cell.

    Raises:
        ValueError: it is neither text nor a number.
    """
    if isinstance(value, dict | list):
        raise ValueError("files, urls, splits and groups must be text")  # noqa: TRY004 - the value is a user's
    return spelt(value)
