"""What a line of any table comes down to: a picture by file or address, its labels, its split."""

from dataclasses import dataclass
from typing import Any, Final

from tsukiji.errors import TableLineInvalid, TsukijiError
from tsukiji.importers.split_words import plain_split
from tsukiji.labels import trim
from tsukiji.names import plain_name
from tsukiji.types import Split

NO_SPLIT: Final = frozenset({"", "unassigned"})
BUCKETS: Final = frozenset({"s3", "gs"})


@dataclass(frozen=True, slots=True)
class Item:
    """What a table says of one picture.

    Attributes:
        line: where it stands, from 1 on; of a JSON document which of its pictures it is.
        file: path with slashes, relative to the table or to the top.
        url: where it can be fetched.
        labels: all that it has; None where the table does not speak of labels. A `single_label` data set takes one.
        is_none: does the table say that it has none of the labels? Else a picture without labels is unlabelled.
        error: why nothing can be made of this line.
    """

    line: int
    file: str | None = None
    url: str | None = None
    labels: tuple[str, ...] | None = None
    is_none: bool = False
    split: Split | None = None
    group: str | None = None
    error: TsukijiError | None = None


def refused(line: int, why: str) -> Item:
    return Item(line, error=TableLineInvalid(f"Line {line}: {why}.", line=line))


def place(text: str) -> tuple[str | None, str | None]:
    """Return a picture's file and address from whichever was written.

    What stands in a bucket was often copied to where the table is, so its path counts as a file, too. Other addresses
    say nothing of files.
    """
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
        raise ValueError(f"the split {word[:100]!r} is none of train, valid, test")
    return split


def words(value: Any) -> tuple[str, ...]:
    """Return the labels that a JSON value or a cell holds, each once, in their order.

    Raises:
        ValueError: it is neither text nor number, nor a list of such.
    """
    listed = value if isinstance(value, list) else [value]
    if any(isinstance(one, dict | list) for one in listed):
        raise ValueError("a label is text or a number")
    named = (trim(str(one)) for one in listed if one is not None)
    return tuple(dict.fromkeys(word for word in named if word))
