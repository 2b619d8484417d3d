"""Parses JSON from outside: one parser with one depth limit for bodies, cursors, tables, packages and frames."""

import json
from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import from_json

MOST_DEPTH: Final = 201
"""Most nesting of lists and objects; the same limit as pydantic's parser."""
BOM: Final = b"\xef\xbb\xbf"


def read_json(text: str | bytes, *, unique: bool = False) -> Any:
    """Return the parsed JSON (RFC 8259); bytes are UTF-8, a leading byte order mark is skipped.

    The result can be traversed, validated and written as UTF-8: it is nested at most `MOST_DEPTH` deep, and has no lone
    surrogates. As in `json`, NaN and Infinity are numbers.

    Args:
        text: the JSON.
        unique: refuse objects with repeated names; otherwise the last one counts.

    Raises:
        ValueError: it is malformed, or nested too deeply.
    """
    data = (text.encode() if isinstance(text, str) else text).removeprefix(BOM)
    found = from_json(data)
    return json.loads(data, object_pairs_hook=_unique) if unique else found


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("duplicate name in one object")
    return found
