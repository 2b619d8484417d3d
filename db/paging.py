"""Keyset pagination: a cursor holds the key after which the next page begins, and the filters it is valid for."""

import base64
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from tsukiji.errors import Invalid
from tsukiji.json_input import read_json
from tsukiji.types.base import is_int64

T = TypeVar("T")


@dataclass(frozen=True)
class Window:
    """A requested page. The cursor is bound to `filters`: it cannot continue with other ones."""

    limit: int = 50
    cursor: str | None = None
    filters: tuple[str | None, ...] = ()

    def after(self, *kinds: type) -> Any:
        """Return the key after which this page begins, or None for the first page: a value, or one of each type.

        Raises:
            Invalid: the cursor is malformed, or was made for other filters.
        """
        if self.cursor is None:
            return None
        try:
            digest, key = read_json(base64.urlsafe_b64decode(self.cursor))
        except (ValueError, TypeError) as error:
            raise damaged() from error
        if digest != self.digest():
            raise Invalid("The cursor is for other filters.", hint="Start again without a cursor.")
        parts = key if len(kinds) > 1 else [key]
        if not isinstance(parts, list) or len(parts) != len(kinds) or not all(map(can_be_key, parts, kinds)):
            raise damaged()
        return tuple(parts) if len(kinds) > 1 else key

    def cursor_after(self, key: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps([self.digest(), key]).encode()).decode()

    def digest(self) -> str:
        return hashlib.sha256(repr(self.filters).encode()).hexdigest()[:12]


def damaged() -> Invalid:
    return Invalid("The cursor is invalid.", hint="Use `next_cursor` of the previous page.")


def can_be_key(value: Any, kind: type) -> bool:
    """Return whether a value is of this type, and comparable in both databases."""
    match value:
        case bool():
            return False
        case int():
            return kind in {int, float} and is_int64(value)
        case float():
            return kind is float and math.isfinite(value)
        case str():
            return kind is str and "\0" not in value
    return False


@dataclass(frozen=True)
class Rows(Generic[T]):
    data: list[T]
    next_cursor: str | None


def fetch(
    session: Session,
    query: Select[T],
    key: InstrumentedAttribute[Any],
    window: Window,
    *,
    newest: bool = False,
) -> Rows[T]:
    """Return one page of `query` in the order of `key` (a unique column), newest first on request."""
    after = window.after(key.type.python_type)
    if after is not None:
        query = query.where(key < after if newest else key > after)
    rows = list(session.scalars(query.order_by(key.desc() if newest else key).limit(window.limit + 1)))
    more = len(rows) > window.limit
    rows = rows[: window.limit]
    return Rows(rows, window.cursor_after(getattr(rows[-1], key.key)) if more else None)
