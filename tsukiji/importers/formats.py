"""Which tool wrote a table: by its looks, or as the import says."""

import itertools
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from tsukiji.errors import TableInvalid
from tsukiji.importers import azure, coco, reading, sagemaker, tables, teachable, vertex
from tsukiji.importers.items import Item
from tsukiji.importers.reading import CSV, JSON, JSON_LINES, TEXT
from tsukiji.types import ImportOptions


def read(name: str, data: bytes, options: ImportOptions, names: Iterable[str]) -> Iterator[Item] | None:
    """Return what a table says; None where it is none of this format.

    Args:
        name: its ending says how it is cut.
        data: the table, whole.
        options: the sender's wishes.
        names: of the files beside it.

    Raises:
        TableInvalid: it is a table, and cannot be used.
    """
    suffix, text = reading.suffix_of(name), reading.text_of(data)
    if suffix in TEXT:
        return tables.read_addresses(text) if tables.is_address(text) else None
    if suffix in CSV:
        return _read_csv(text, options)
    if suffix in JSON_LINES:
        return _read_records(reading.records(text), options)
    if suffix in JSON:
        return _read_document(reading.document(text), options, names)
    return None


def ignored_columns(name: str, data: bytes, options: ImportOptions) -> list[str]:
    """Return the columns of a CSV that nothing is made of: one may be misspelt."""
    if reading.suffix_of(name) not in CSV:
        return []
    _, header = next(reading.rows(reading.text_of(data)), (0, []))
    if isinstance(header, ValueError) or any(tables.is_address(cell) for cell in header):
        return []
    return tables.ignored(tables.find_columns(header, options), header)


def _wanted(options: ImportOptions, looks_so: bool, name: str) -> bool:
    return options.format == name or (options.format == "auto" and looks_so)


def _read_csv(text: str, options: ImportOptions) -> Iterator[Item] | None:
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
    return tables.read_csv(columns, header, rows)


def _read_records(
    records: Iterator[tuple[int, dict[str, Any] | ValueError]], options: ImportOptions
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
    return tables.read_records(whole, options)


def _read_document(document: Any, options: ImportOptions, names: Iterable[str]) -> Iterator[Item] | None:
    for name, is_one, read_one in (
        ("coco", coco.is_one, coco.read),
        ("azure", azure.is_one, azure.read),
        ("teachable", teachable.is_one, partial(teachable.read, names=names)),
        ("table", tables.is_list, partial(tables.read_list, options=options)),
    ):
        if options.format in {"auto", name} and is_one(document):
            return read_one(document)
    return None
