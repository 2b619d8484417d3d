"""Tables of one's own, CSV or JSON lines, and those of Hugging Face's imagefolder (`metadata.csv`, `metadata.jsonl`).

Columns are known by their usual names, or by those that the import names.
Hugging Face Datasets, "Create an image dataset", section "ImageFolder".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_args

from tsukiji.errors import TableInvalid
from tsukiji.importers.items import Item, place, refused, split_of, words
from tsukiji.importers.several import Labelling, in_cell, marked
from tsukiji.labels import trim
from tsukiji.types import ImportOptions
from tsukiji.types.datasets import Column

COLUMNS: Final[tuple[Column, ...]] = get_args(Column)
USUAL_NAMES: Final[Mapping[Column, tuple[str, ...]]] = {
    "file": ("file", "file_name", "filename", "file_path", "filepath", "path", "image", "image_path", "image_name"),
    "url": ("url", "image_url", "uri", "link"),
    "label": ("label", "labels", "class", "class_name", "category", "tag", "tags"),
    "split": ("split", "set", "subset", "partition", "ml_use"),
    "group": ("group", "group_id"),
}
WHERE: Final[frozenset[Column]] = frozenset({"file", "url"})

Columns = dict[Column, str]
"""The table's own name of each column that it has."""


def is_address(text: str) -> bool:
    return bool(re.match(r"\s*[a-z0-9]{2,5}://\S", text))


def read_addresses(text: str) -> Iterator[Item]:
    """Yield an item for each line of a list of addresses."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            file, url = place(line.strip())
            yield Item(number, file=file, url=url)


def find_columns(header: Iterable[str], options: ImportOptions) -> Columns:
    """Return which column is which: those that the import names, else those that are usually named so.

    Raises:
        TableInvalid: a column that the import names is not there.
    """
    there = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in reversed(list(header))}
    found: Columns = {}
    for column in COLUMNS:
        name = options.columns.get(column)
        if isinstance(name, list):
            continue  # columns of 0 and 1, see `marked_columns`
        if name is not None:
            found[column] = _named(name, there.values())
        elif usual := next((name for name in USUAL_NAMES[column] if name in there), None):
            found[column] = there[usual]
    return found


def marked_columns(header: Iterable[str], options: ImportOptions) -> list[str]:
    """Return the columns of 0 and 1 that the import names.

    Raises:
        TableInvalid: one of them is not there.
    """
    named, listed = options.columns.get("label"), list(header)
    return [_named(name, listed) for name in named] if isinstance(named, list) else []


def _named(wanted: str, there: Iterable[str]) -> str:
    listed = list(there)
    for name in listed:
        if name.strip() == wanted:
            return name
    raise TableInvalid(
        f"Line 1: there is no column {wanted[:100]!r}, only {', '.join(map(repr, listed))[:500]}.", line=1
    )


def check_columns(found: Columns, header: Iterable[str]) -> None:
    """Raise TableInvalid unless the table says where its pictures are."""
    if not WHERE & found.keys():
        shown = ", ".join(repr(name) for name in header)[:500]
        raise TableInvalid(f"Line 1: no column says which file or url; there are {shown}.", line=1)


def ignored(found: Columns, header: Iterable[str], marked: Iterable[str] = ()) -> list[str]:
    """Return the columns that nothing is made of."""
    return [name for name in header if name.strip() and name not in {*found.values(), *marked}]


def read_csv(
    columns: Columns,
    header: list[str],
    rows: Iterable[tuple[int, list[str] | ValueError]],
    labelling: Labelling,
) -> Iterator[Item]:
    """Yield an item for each row after the header."""
    for line, row in rows:
        if isinstance(row, ValueError):
            yield refused(line, str(row))
        elif len(row) != len(header):
            yield refused(line, f"it has {len(row)} cells where the header has {len(header)}")
        else:
            yield item_of(line, dict(zip(header, row, strict=True)), columns, labelling)


def read_records(
    records: Iterable[tuple[int, dict[str, Any] | ValueError]], options: ImportOptions, labelling: Labelling
) -> Iterator[Item]:
    """Yield an item for each object; each may have other members than the one before."""
    for line, record in records:
        if isinstance(record, ValueError):
            yield refused(line, str(record))
            continue
        try:
            columns = find_columns(record, ImportOptions(columns=_present(options.columns, record)))
        except TableInvalid as error:
            yield refused(line, error.detail)
            continue
        yield item_of(line, record, columns, labelling)


def is_list(document: Any) -> bool:
    """Return whether a JSON document is a list of objects of which the first says where its picture is."""
    first = document[0] if isinstance(document, list) and document else None
    return isinstance(first, dict) and bool(WHERE & find_columns(first, ImportOptions()).keys())


def read_list(document: list[Any], options: ImportOptions, labelling: Labelling) -> Iterator[Item]:
    numbered = enumerate(document, 1)
    listed = ((number, one if isinstance(one, dict) else ValueError("it is no object")) for number, one in numbered)
    return read_records(listed, options, labelling)


def _present(named: Mapping[Column, str | list[str]], record: Mapping[str, Any]) -> dict[Column, str | list[str]]:
    return {column: name for column, name in named.items() if isinstance(name, list) or name in record}


def item_of(line: int, row: Mapping[str, Any], columns: Columns, labelling: Labelling) -> Item:
    """Return what a row says, or why it says nothing."""
    told = {column: row[name] for column, name in columns.items()}
    try:
        where = _text(told.get("file")) or _text(told.get("url"))
        if not where:
            return refused(line, "it names no file and no url")
        file, url = place(where)
        labels, is_none = _labels(row, columns, labelling)
        return Item(
            line=line,
            file=file,
            url=_text(told.get("url")) or url,
            labels=labels,
            is_none=is_none,
            split=split_of(_text(told.get("split"))),
            group=trim(_text(told.get("group"))) or None,
        )
    except ValueError as error:
        return refused(line, str(error))


def _labels(row: Mapping[str, Any], columns: Columns, labelling: Labelling) -> tuple[tuple[str, ...] | None, bool]:
    """Return the labels of a row, and whether it says that there are none; None where it does not speak of labels."""
    if labelling.columns:
        return marked(row, labelling.columns)
    if "label" not in columns:
        return None, False
    value = row[columns["label"]]
    return in_cell(value, labelling.separator) if labelling.many else (words(value), False)


def _text(value: Any) -> str:
    """Return the text of a cell.

    Raises:
        ValueError: it is neither text nor a number.
    """
    if value is None:
        return ""
    if isinstance(value, dict | list):
        raise ValueError("files, urls, splits and groups are text")  # noqa: TRY004 - the value is a user's
    return str(value).strip()
