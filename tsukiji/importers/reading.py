"""The bytes of a table: text in whatever encoding, cut into rows, records or one document. Knows no tool."""

import csv
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from tsukiji.json_input import read_json

CSV: Final = frozenset({".csv", ".tsv"})
JSON_LINES: Final = frozenset({".jsonl", ".ndjson", ".manifest"})
JSON: Final = frozenset({".json"})
TEXT: Final = frozenset({".txt"})
OTHER_TEXT: Final = frozenset(
    {".xml", ".html", ".htm", ".md", ".rst", ".yaml", ".yml", ".py", ".ipynb", ".log", ".pdf"}
)
DELIMITERS: Final = (",", ";", "\t")


def suffix_of(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def may_be_table(name: str) -> bool:
    return suffix_of(name) in CSV | JSON_LINES | JSON | TEXT


def is_text(name: str) -> bool:
    """Return whether a file is a table or a text of another kind by its name, and no picture."""
    return may_be_table(name) or suffix_of(name) in OTHER_TEXT


def text_of(data: bytes) -> str:
    """Return the text: UTF-8, UTF-16 with its mark, or what old spreadsheets write (Windows-1252, else Latin-1)."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def rows(text: str) -> Iterator[tuple[int, list[str] | ValueError]]:
    """Yield number and cells of each line that is not empty, or what is wrong with it.

    Each line is read by itself: no name or label has a line's end in it, and a quote that is never closed costs only
    its own.
    """
    delimiter = ""
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if not line.strip():
            continue
        delimiter = delimiter or max(DELIMITERS, key=line.count)
        try:
            yield number, next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error as error:
            yield number, ValueError(str(error))


def records(text: str) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
    """Yield number and object of each line that is not empty, or what is wrong with it."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, record(line)


def record(line: str) -> dict[str, Any] | ValueError:
    try:
        found = read_json(line)
    except ValueError as error:
        return ValueError(f"it is no JSON ({error})")
    return found if isinstance(found, dict) else ValueError("it is no JSON object")


def document(text: str) -> Any:
    """Return what a JSON document holds; None where it is none."""
    try:
        return read_json(text)
    except ValueError:
        return None
