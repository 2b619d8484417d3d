"""What a line of any table comes down to: a picture by file or address, its labels, its split."""

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
"""An address by which Label Studio serves a picture that was sent to it, or that it read from its own disk."""


@dataclass(frozen=True, slots=True)
class Item:
    """What a table says of one picture.

    Attributes:
        line: where it stands, from 1 on; of a JSON document which of its pictures it is.
        file: path with slashes, relative to the table or to the top.
        url: where it can be fetched.
        labels: all that it has; None where the table does not speak of labels. A `single_label` data set takes one.
        is_none: does the table say that it has none of the labels? Else a picture without labels is unlabelled.
        split: `unassigned` where the table says that it has none; None where it does not speak of splits.
        crop: the part of the picture that is used, in pixels.
        error: why nothing can be made of this line.
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
    """What looks like a mistake in a table, or how a doubt was settled: a code and a sentence."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a table says: an item for each picture, and notes on the whole."""

    items: Iterator[Item]
    notes: Sequence[Note] = ()


def refused(line: int, why: str) -> Item:
    return Item(line, error=TableLineInvalid(f"Line {line}: {why}.", line=line))


def place(text: str) -> tuple[str | None, str | None]:
    """Return a picture's file and address from whichever was written.

    What stands in a bucket was often copied to where the table is, so its path counts as a file, too, and so do those
    that Label Studio serves. Other addresses say nothing of files.
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
        ValueError: it is none.
    """
    split = plain_split(word)
    if split is None and word.strip().lower() not in NO_SPLIT:
        raise ValueError(f"the split {word[:100]!r} is not train, valid or test")
    return split


def words(value: Any) -> tuple[str, ...]:
    """Return the labels that a JSON value or a cell holds, each once, in their order.

    Raises:
        ValueError: it is neither text nor number, nor a list of such.
    """
    listed = value if isinstance(value, list) else [value]
    if any(isinstance(one, dict | list) for one in listed):
        raise ValueError("a label is text or a number")
    named = (trim(spelt(one)) for one in listed)
    return tuple(dict.fromkeys(word for word in named if word))


def spelt(value: Any) -> str:
    """Return text or a number as text; nothing for null, or for NaN, which Python writes where nothing is known.

    JSON's 1.0 is the number 1, and pandas writes it so where others are missing.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
