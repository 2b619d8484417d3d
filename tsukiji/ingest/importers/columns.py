"""The meaning of a table's columns, or of members of JSON objects, by their usual names.

The names are those of fastai, Keras, Hugging Face Datasets, Label Studio, FiftyOne, Kaggle and ISIC, and of our own
exports.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, get_args

from tsukiji.errors import TableInvalid
from tsukiji.types import Box, ImportOptions, Split
from tsukiji.types.base import check_box
from tsukiji.types.datasets import Column

NAMEABLE: Final[tuple[Column, ...]] = get_args(Column)
EDGES: Final = ("crop_left", "crop_upper", "crop_right", "crop_lower")
BOOLEAN_SPLITS: Final[Mapping[str, tuple[Split, Split | None]]] = {
    **dict.fromkeys(("isvalid", "isval", "isvalidation"), ("valid", "train")),
    "istest": ("test", None),
}
"""Boolean columns for a split, and the meaning of each value."""
YES: Final = frozenset({"1", "1.0", "true"})
NO: Final = frozenset({"0", "0.0", "false"})


def _spellings(words: str) -> tuple[str, ...]:
    return tuple(words.split())


USUAL_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "file": _spellings(
        "file filename filepath fname path relativepath image imagefile imagefilename imagename imagepath"
        " img imgfile imgname imgpath photo picture"
    ),
    "url": _spellings("url imageurl uri imageuri link"),
    "label": _spellings(
        "label labels labelname class classes classname classlabel category categories categoryname tag tags"
        " target targets choice choices groundtruth diagnosis dx"
    ),
    "split": (*_spellings("split splits set subset partition mluse datasplit"), *BOOLEAN_SPLITS),
    "group": ("group", "groupid"),
}
"""The first that is present is used. Case and separators are ignored."""
WEAK_FILES: Final = _spellings("name imageid isicid idcode id")
"""Names that identify a file only if no better column does, and such files exist."""
BOOKKEEPING: Final = frozenset(
    _spellings("annotationid annotator createdat updatedat leadtime wascancelled agreement sha256 imageid id")
    + tuple(edge.replace("_", "") for edge in EDGES)
)
"""Columns without information about a picture, from Label Studio and us: ignoring them needs no warning."""
OURS: Final = frozenset({"imageid", "sha256"})
"""These identify a table of our own exports."""
LABEL_STUDIO: Final = frozenset({"annotationid", "leadtime"})
"""These identify a table of Label Studio, whose label column is named by the project's author."""

Columns = dict[str, str]
"""The table's own name for each column it has."""


def key_of(name: str) -> str:
    """Return the significant part of a column's name: letters and digits."""
    return re.sub(r"[\W_]+", "", name.casefold())


def find_columns(header: Iterable[str], options: ImportOptions, weak: Collection[str] = ()) -> Columns:
    """Return the meaning of columns: those named by the import, else by their usual names.

    Args:
        header: the names of all columns.
        options: of the import.
        weak: those of `WEAK_FILES` that may identify a file.

    Raises:
        TableInvalid: a column named by the import is missing.
    """
    names = list(header)
    there = {key_of(name): name for name in reversed(names)}
    found: Columns = {}
    for column, usual in USUAL_NAMES.items():
        wanted = options.columns.get(column) if column in NAMEABLE else None
        if isinstance(wanted, list):
            continue  # columns of 0 and 1, see `named_labels`
        if wanted is not None:
            found[column] = named(wanted, names)
        elif known := next((name for name in usual if name in there), None):
            found[column] = there[known]
    if not {"file", "url"} & found.keys() and (known := next((name for name in WEAK_FILES if name in weak), None)):
        found["file"] = there[known]
    if "label" not in found and "label" not in options.columns and there.keys() >= LABEL_STUDIO:
        rest = [name for key, name in there.items() if name not in found.values() and key not in BOOKKEEPING]
        found |= {"label": rest[0]} if len(rest) == 1 else {}
    return found


def named_labels(header: Iterable[str], options: ImportOptions) -> list[str]:
    """Return the columns of 0 and 1 named by the import.

    Raises:
        TableInvalid: one of them is missing.
    """
    wanted, listed = options.columns.get("label"), list(header)
    return [named(name, listed) for name in wanted] if isinstance(wanted, list) else []


def named(wanted: str, there: Iterable[str]) -> str:
    """Return the column named by the import.

    Raises:
        TableInvalid: it is missing.
    """
    listed = list(there)
    for name in listed:
        if name.strip() == wanted:
            return name
    shown = ", ".join(map(repr, listed))[:500]
    raise TableInvalid(f"Line 1: there is no column {wanted[:100]!r}, only {shown}.", line=1)


def check_columns(found: Columns, header: Iterable[str]) -> None:
    """Raise TableInvalid unless some column says where the pictures are."""
    if not {"file", "url"} & found.keys():
        shown = ", ".join(repr(name) for name in header)[:500]
        raise TableInvalid(f"Line 1: no column says which file or url; there are {shown}.", line=1)


def ignored(found: Columns, header: Iterable[str], labels: Iterable[str] = ()) -> list[str]:
    """Return the unused columns that may have been meant to be used."""
    labels = list(labels)
    used = {*found.values(), *labels}
    quiet = BOOKKEEPING if labels or "label" in found else frozenset()  # in `Image,Id` the second is a label
    return [name for name in header if name.strip() and name not in used and key_of(name) not in quiet]


def box_of(row: Mapping[str, Any]) -> Box | None:
    """Return a row's crop in our export's format: a list `crop`, or a cell for each edge.

    Raises:
        ValueError: it is no box.
    """
    edges = row.get("crop")
    if not isinstance(edges, list):  # otherwise `crop` may be an agricultural one
        edges = [row.get(edge) for edge in EDGES]
        if any(edge in {None, ""} for edge in edges):
            return None
    try:
        left, upper, right, lower = map(int, edges)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("a crop is four whole numbers: left, upper, right, lower") from error
    if left < 0 or upper < 0:
        raise ValueError("the crop extends beyond the picture")
    return check_box((left, upper, right, lower))
