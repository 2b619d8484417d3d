"""JSON that came from outside: one reader for bodies, cursors, tables, packages and frames, with one depth."""

import json
from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import from_json

MOST_DEPTH: Final = 201
"""Lists and objects within each other: the bound of pydantic's parser, which is ours as well."""
BOM: Final = b"\xef\xbb\xbf"


def read_json(text: str | bytes, *, unique: bool = False) -> Any:
    """Return what a JSON text holds (RFC 8259); bytes are UTF-8, a byte order mark at the beginning is skipped.

    Whatever comes back can be walked, validated and written as UTF-8: it is nested at most `MOST_DEPTH` deep, and no
    text in it has half of a surrogate pair. As in `json`, NaN and Infinity are numbers.

    Args:
        text: what was sent.
        unique: refuse objects that have a name twice; otherwise the last one counts.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    data = (text.encode() if isinstance(text, str) else text).removeprefix(BOM)
    found = from_json(data)
    return json.loads(data, object_pairs_hook=_unique) if unique else found


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("duplicate name in one object")
    return found
