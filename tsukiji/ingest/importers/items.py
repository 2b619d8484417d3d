"""The common form of a line of any table: a picture by file or address, its labels, its split."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote

from tsukiji.errors import TableLineInvalid, TsukijiError
from tsukiji.ingest.importers.split_words import plain_split
from tsukiji.labels import trim
from tsukiji.names import plain_name
from tsukiji.types import Box, Split

NO_SPLIT: Final = frozenset({"", "unassigned"})
BUCKETS: Final = frozenset({"s3", "gs"})
LABEL_STUDIO: Final = re.compile(r"(?:https?://[^/]+)?/data/(?:local-files/\?d=(?P<local>.+)|upload/.+)")
"""An address by which Label Studio serves an uploaded picture, or one on its own disk."""


@dataclass(frozen=True, slots=True)
class Item:
    """A table's information about one picture.

    Attributes:
        line: its number, from 1; in a JSON document the number of the picture.
        file: path with slashes, relative to the table or to the top.
        url: where it can be fetched.
        labels: all labels; None if the table has no labels. A `single_label` data set takes one.
        is_none: the table says that it has none of the labels; otherwise a picture without labels is unlabelled.
        split: `unassigned` if the table says so; None if the table has no splits.
        crop: the part of the picture in use, in pixels.
        error: why this line cannot be used.
    """

    line: int
    file: str | None = None
    url: str | None = None
    labels: tuple[str, ...] | None = None
    is_none: bool = False
    split: Split | Literal["unassigned"] | None = None
    group: str | None = None
    crop: Box | None = None
    error: TsukijiError | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A likely mistake in a table, or how an ambiguity was resolved: a code and a sentence."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class ParsedTable:
    """A parsed table: an item for each picture, and notes on the whole."""

    items: Iterator[Item]
    notes: Sequence[Note] = ()


def refused(line: int, why: str) -> Item:
    return Item(line, error=TableLineInvalid(f"Line {line}: {why}.", line=line))


def place(text: str) -> tuple[str | None, str | None]:
    """Return a picture's file and address, given one of them.

    Bucket contents are often copied to the table's location, so their paths count as files too, and so do those served
    by Label Studio. Other addresses give no file.
    """
    if served := LABEL_STUDIO.fullmatch(text):
        return plain_name(unquote(served["local"]) if served["local"] else text), None
    scheme, found, rest = text.partition("://")
    if not found:
        return plain_name(text), None
    return (plain_name(rest) if scheme.lower() in BUCKETS else None), text


def split_of(word: str) -> Split | None:
    """Return the split that a table's word means.

    Raises:
        ValueError: it means none.
    """
    split = plain_split(word)
    if split is None and word.strip().lower() not in NO_SPLIT:
        raise ValueError(f"the split {word[:100]!r} is not train, valid or test")
    return split


def words(value: Any) -> tuple[str, ...]:
    """Return the distinct labels in a JSON value or a cell, in order.

    Raises:
        ValueError: it is neither text nor number, nor a list of these.
    """
    listed = value if isinstance(value, list) else [value]
    if any(isinstance(one, dict | list) for one in listed):
        raise ValueError("a label is text or a number")
    named = (trim(spelt(one)) for one in listed)
    return tuple(dict.fromkeys(word for word in named if word))


def spelt(value: Any) -> str:
    """Return text or a number as text; nothing for null or NaN, which Python writes for missing values.

    JSON's 1.0 is the number 1: pandas writes integers like this in a column with missing values.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
