"""Which tool wrote a table: by its looks, or as the import says."""

import itertools
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from tsukiji.errors import TableInvalid
from tsukiji.importers import azure, coco, reading, sagemaker, tables, teachable, vertex
from tsukiji.importers.items import Item
from tsukiji.importers.reading import CSV, JSON, JSON_LINES, TEXT
from tsukiji.importers.several import Labelling, find_marked
from tsukiji.types import ImportOptions, Kind


def read(
    name: str, data: bytes, options: ImportOptions, names: Iterable[str], kind: Kind = "single_label"
) -> Iterator[Item] | None:
    """Return what a table says; None where it is none of this format.

    Args:
        name: its ending says how it is cut.
        data: the table, whole.
        options: the sender's wishes.
        names: of the files beside it.
        kind: of the data set that it is for.

    Raises:
        TableInvalid: it is a table, and cannot be used.
    """
    check_columns(options, kind)
    suffix, text = reading.suffix_of(name), reading.text_of(data)
    if suffix in TEXT:
        return tables.read_addresses(text) if tables.is_address(text) else None
    if suffix in CSV:
        return _read_csv(text, options, kind)
    if suffix in JSON_LINES:
        return _read_records(reading.records(text), options, kind)
    if suffix in JSON:
        return _read_document(reading.document(text), options, names, kind)
    return None


def check_columns(options: ImportOptions, kind: Kind) -> None:
    """Raise TableInvalid where several columns are named for a data set whose images have one label each."""
    if kind == "single_label" and isinstance(options.columns.get("label"), list):
        hint = "Name the one column that holds the label, or import into a data set whose `kind` is `multi_label`."
        raise TableInvalid("Several columns of labels are for data sets of the kind multi_label.", hint=hint)


def ignored_columns(name: str, data: bytes, options: ImportOptions, kind: Kind = "single_label") -> list[str]:
    """Return the columns of a CSV that nothing is made of: one may be misspelt."""
    if reading.suffix_of(name) not in CSV:
        return []
    text = reading.text_of(data)
    _, header = next(reading.rows(text), (0, []))
    if isinstance(header, ValueError) or any(tables.is_address(cell) for cell in header):
        return []
    columns = tables.find_columns(header, options)
    return tables.ignored(columns, header, _labelling(text, header, columns, options, kind).columns)


def _labelling(text: str, header: list[str], columns: tables.Columns, options: ImportOptions, kind: Kind) -> Labelling:
    """Return how a CSV tells labels: by a column, else by those that are named, else by all columns of 0 and 1."""
    if kind == "single_label":
        return Labelling()
    marked = tables.marked_columns(header, options)
    if not marked and "label" not in columns:
        rows = itertools.islice((row for _, row in reading.rows(text)), 1, None)
        marked = find_marked(header, rows, columns.values())
    return Labelling(many=True, separator=options.separator, columns=marked)


def _wanted(options: ImportOptions, looks_so: bool, name: str) -> bool:
    return options.format == name or (options.format == "auto" and looks_so)


def _read_csv(text: str, options: ImportOptions, kind: Kind) -> Iterator[Item] | None:
    rows = reading.rows(text)
    first = next(rows, None)
    if first is None:
        raise TableInvalid("The table is empty.")
    line, header = first
    if isinstance(header, ValueError):
        raise TableInvalid(f"Line {line}: {header}.", line=line)
    if _wanted(options, vertex.is_row(header), "vertex"):
        return vertex.read_csv(itertools.chain([first], rows))
    if not _wanted(options, True, "table"):
        return None
    if len(header) == 1 and tables.is_address(header[0]):  # no header, but a list
        return tables.read_addresses(text)
    columns = tables.find_columns(header, options)
    tables.check_columns(columns, header)
    return tables.read_csv(columns, header, rows, _labelling(text, header, columns, options, kind))


def _read_records(
    records: Iterator[tuple[int, dict[str, Any] | ValueError]], options: ImportOptions, kind: Kind
) -> Iterator[Item] | None:
    begin: list[tuple[int, dict[str, Any] | ValueError]] = []
    for record in records:  # what is no JSON at the top says nothing of the rest
        begin.append(record)
        if isinstance(record[1], dict):
            break
    known = next((record for _, record in begin if isinstance(record, dict)), {})
    whole = itertools.chain(begin, records)
    if _wanted(options, vertex.is_record(known), "vertex"):
        return vertex.read_records(whole)
    if _wanted(options, sagemaker.is_record(known), "sagemaker"):
        return sagemaker.read(whole)
    if not _wanted(options, True, "table"):
        return None
    tables.check_columns(tables.find_columns(known, options), known)
    return tables.read_records(whole, options, _of_records(options, kind))


def _of_records(options: ImportOptions, kind: Kind) -> Labelling:
    named = options.columns.get("label")
    return Labelling(kind == "multi_label", options.separator, named if isinstance(named, list) else ())


def _read_document(document: Any, options: ImportOptions, names: Iterable[str], kind: Kind) -> Iterator[Item] | None:
    for name, is_one, read_one in (
        ("coco", coco.is_one, coco.read),
        ("azure", azure.is_one, azure.read),
        ("teachable", teachable.is_one, partial(teachable.read, names=names)),
        ("table", tables.is_list, partial(tables.read_list, options=options, labelling=_of_records(options, kind))),
    ):
        if options.format in {"auto", name} and is_one(document):
            return read_one(document)
    return None
