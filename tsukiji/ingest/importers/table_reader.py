"""Parses the bytes of a table: text in various encodings, as rows, records or one JSON document."""

import csv
import itertools
import json
import re
from collections.abc import Iterator, Sequence
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
HEADER_LINES: Final = 100
LINE: Final = re.compile(r"[^\r\n]+(?:\r\n?|\n)?|\r\n?|\n")


def suffix_of(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def may_be_table(name: str) -> bool:
    return suffix_of(name) in CSV | JSON_LINES | JSON | TEXT


def is_text(name: str) -> bool:
    """Return whether a file is a table or other text by its name."""
    return may_be_table(name) or suffix_of(name) in OTHER_TEXT


def text_of(data: bytes) -> str:
    """Return the text: UTF-8, UTF-16 with a byte order mark, or Windows-1252 or Latin-1 as of old spreadsheets."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def rows(text: str) -> Iterator[tuple[int, list[str] | ValueError]]:
    """Yield number of the first line and cells of each row (RFC 4180), or its error.

    A cell in quotes may hold line breaks. An unclosed quote, or one that swallows following rows so that the number of
    cells is wrong, affects only its own line.
    """
    lines, width = _Lines(text), 0
    delimiter, is_spaced = _delimiter(text)
    while True:
        taken: list[str] = []
        reader = csv.reader(lines.noting(taken), delimiter=delimiter, skipinitialspace=is_spaced, strict=True)
        try:
            row, fault = next(reader, []), ""
        except csv.Error as error:
            row, fault = [], str(error)
        if len(taken) > 1 and not fault and width and len(row) != width:
            fault = "a quote is not closed, or the number of cells is wrong"
        if fault:
            lines.unread(taken[1:])
            del taken[1:]
        if not taken:
            return
        if fault or any(map(str.strip, row)):
            width = width or len(row)
            yield lines.number - len(taken) + 1, ValueError(fault) if fault else row


def _delimiter(text: str) -> tuple[str, bool]:
    """Return the delimiter of the header, and whether spaces follow it, as in handwritten tables: `file, cat, dog`."""
    header = ""
    for line in itertools.islice(_Lines(text), HEADER_LINES):
        header += line
        if header.strip() and header.count('"') % 2 == 0:
            break
    outside = re.sub('"[^"]*"', "", header)
    delimiter = max(DELIMITERS, key=outside.count)
    return delimiter, f"{delimiter} " in outside


class _Lines:
    """Line iterator with push-back of the last lines; `number` of them were read."""

    def __init__(self, text: str) -> None:
        self._rest = (found[0].rstrip("\r\n") + "\n" for found in LINE.finditer(text))
        self._again: list[str] = []
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._again.pop() if self._again else next(self._rest, ""):
            self.number += 1
            yield line

    def noting(self, taken: list[str]) -> Iterator[str]:
        for line in self:
            taken.append(line)
            yield line

    def unread(self, lines: Sequence[str]) -> None:
        self._again += reversed(lines)
        self.number -= len(lines)


def records(text: str) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
    """Yield number and object of each non-empty line, or its error."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, record(line)


def record(line: str) -> dict[str, Any] | ValueError:
    try:
        found = _parsed(line)
    except (ValueError, RecursionError) as error:
        return ValueError(f"invalid JSON ({error})")
    return found if isinstance(found, dict) else ValueError("not a JSON object")


def document(text: str) -> Any:
    """Return the parsed JSON document; None if malformed."""
    try:
        return _parsed(text)
    except (ValueError, RecursionError):
        return None


def _parsed(text: str) -> Any:
    """Return the parsed JSON. Keeps lone surrogates, so that they affect only the label or name they are in."""
    try:
        return read_json(text)
    except ValueError:
        if "\\ud" not in text.lower():
            raise
        return json.loads(text)
