"""Detects which tool wrote a table, unless the import says so."""

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

from tsukiji.errors import TableInvalid
from tsukiji.ingest.importers import (
    azure,
    coco,
    fiftyone,
    labelstudio,
    sagemaker,
    table_reader,
    tables,
    teachable,
    vertex,
)
from tsukiji.ingest.importers.items import Item, ParsedTable
from tsukiji.ingest.importers.table_reader import CSV, JSON, JSON_LINES, TEXT
from tsukiji.types import ImportOptions, Kind


def read(
    name: str, data: bytes, options: ImportOptions, names: Collection[str], kind: Kind = "single_label"
) -> ParsedTable | None:
    """Return the parsed table; None if it does not have this format.

    Args:
        name: its suffix determines the delimiter.
        data: the whole table.
        options: of the import.
        names: of the files beside it.
        kind: of the data set.

    Raises:
        TableInvalid: it is a table, but cannot be used.
    """
    suffix, text = table_reader.suffix_of(name), table_reader.text_of(data)
    if suffix in TEXT:
        return ParsedTable(tables.read_addresses(text)) if tables.is_address(text) else None
    if suffix in CSV:
        return _read_csv(text, options, names, kind)
    if suffix in JSON_LINES:
        return _read_records(text, options, names, kind)
    if suffix in JSON:
        return _read_document(table_reader.document(text), options, names, kind)
    return None


def _wanted(options: ImportOptions, looks_so: bool, name: str) -> bool:
    return options.format == name or (options.format == "auto" and looks_so)


def _read_csv(text: str, options: ImportOptions, names: Collection[str], kind: Kind) -> ParsedTable | None:
    first = next(table_reader.rows(text), None)
    if first is None:
        raise TableInvalid("The table is empty.")
    line, header = first
    if isinstance(header, ValueError):
        raise TableInvalid(f"Line {line}: {header}.", line=line)
    if _wanted(options, vertex.is_row(header), "vertex"):
        return ParsedTable(vertex.read_csv(table_reader.rows(text)))
    if not _wanted(options, True, "table"):
        return None
    if len(header) == 1 and tables.is_address(header[0]):  # a list of addresses without a header
        return ParsedTable(tables.read_addresses(text))
    return tables.read(header, partial(tables.csv_records, text), options, names, kind, is_csv=True)


def _read_records(text: str, options: ImportOptions, names: Collection[str], kind: Kind) -> ParsedTable | None:
    objects = (record for _, record in table_reader.records(text) if isinstance(record, dict))
    known = next(objects, {})  # a malformed first line does not decide about the rest
    if _wanted(options, vertex.is_record(known), "vertex"):
        return ParsedTable(vertex.read_records(table_reader.records(text)))
    if _wanted(options, sagemaker.is_record(known), "sagemaker"):
        return ParsedTable(sagemaker.read(table_reader.records(text)))
    if not _wanted(options, True, "table"):
        return None
    return tables.read([*known], partial(table_reader.records, text), options, names, kind, is_csv=False)


def _read_document(document: Any, options: ImportOptions, names: Collection[str], kind: Kind) -> ParsedTable | None:
    def teachable_items(document: Any) -> Iterator[Item]:
        return teachable.read(document, names)

    for name, is_one, read_one in (
        ("coco", coco.is_one, coco.read),
        ("azure", azure.is_one, azure.read),
        ("teachable", teachable.is_one, teachable_items),
        ("fiftyone", fiftyone.is_one, fiftyone.read),
        ("labelstudio", labelstudio.is_one, labelstudio.read),
    ):
        if options.format in {"auto", name} and is_one(document):
            return ParsedTable(read_one(document))
    if options.format in {"auto", "table"} and tables.is_list(document):
        known = next(record for record in document if isinstance(record, dict))
        return tables.read([*known], partial(tables.list_records, document), options, names, kind, is_csv=False)
    return None
