"""Keyset pages: a cursor says after which key the next page begins, and for which filters it was made."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from tsukiji.errors import Invalid

T = TypeVar("T")


@dataclass(frozen=True)
class Window:
    """Which page is asked for. `filters` are bound into the cursor: it cannot go on with others."""

    limit: int = 50
    cursor: str | None = None
    filters: tuple[str | None, ...] = ()

    def after(self, kind: type) -> Any:
        """Return the key (of this type) after which this page begins, or None for the first.

        Raises:
            Invalid: the cursor is not one of ours, or was made for other filters.
        """
        if self.cursor is None:
            return None
        try:
            digest, key = json.loads(base64.urlsafe_b64decode(self.cursor))
        except (ValueError, TypeError, binascii.Error) as error:
            raise Invalid("The cursor is damaged.", hint="Take `next_cursor` from the page before.") from error
        if digest != self.digest():
            raise Invalid("The cursor belongs to other filters.", hint="Begin again without a cursor.")
        if not isinstance(key, kind):
            raise Invalid("The cursor is damaged.", hint="Take `next_cursor` from the page before.")
        return key

    def cursor_after(self, key: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps([self.digest(), key]).encode()).decode()

    def digest(self) -> str:
        return hashlib.sha256(repr(self.filters).encode()).hexdigest()[:12]


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
