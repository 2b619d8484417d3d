"""A paged list that reads like one. Knows no HTTP."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, overload

from pydantic import BaseModel

from tsukiji.client._async._runtime import Counted
from tsukiji.client._frames import frame

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T", bound=BaseModel)


class Fetch(Protocol[T]):
    async def __call__(self, cursor: str | None) -> tuple[list[T], str | None]:
        """Return a page from `cursor` on, and the cursor of the next; None for the first and after the last."""
        ...


class AsyncPaged(Counted, Generic[T]):
    """A list whose pages are fetched on demand.

    Iterating keeps no page, however long the list is. Indexing and slicing read and keep the pages up to there; `count`
    (the synchronous list has `len`, too) and places from the end (`[-1]`) read all of them.
    """

    def __init__(self, fetch: Fetch[T]) -> None:
        self._fetch = fetch
        self._kept: list[T] = []
        self._next: str | None = None
        self._ended = False

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for record in page:
                yield record

    async def pages(self) -> AsyncIterator[list[T]]:
        """Yield the records a page at a time; those that were read by index first."""
        cursor = self._next
        if self._kept or self._ended:
            yield self._kept[:]
            if self._ended:
                return
        while True:
            records, cursor = await self._fetch(cursor)
            yield records
            if cursor is None:
                return

    async def count(self) -> int:
        """Count the records; reads all pages."""
        await self._keep(None)
        return len(self._kept)

    async def is_empty(self) -> bool:
        """Return whether there are none; reads the first page."""
        await self._keep(1)
        return not self._kept

    @overload
    async def __getitem__(self, place: int) -> T: ...

    @overload
    async def __getitem__(self, place: slice) -> list[T]: ...

    async def __getitem__(self, place: int | slice) -> T | list[T]:
        await self._keep(_needed(place))
        return self._kept[place]

    async def to_list(self) -> list[T]:
        """Return all; reads all pages."""
        return [record async for record in self]

    async def to_pandas(self) -> "pd.DataFrame":
        """Return all as a data frame, a row for each; needs `tsukiji[pandas]`."""
        return frame([record async for record in self])

    def __repr__(self) -> str:
        if not self._ended:
            return f"<{type(self).__name__}: a list whose pages are fetched on demand>"
        return f"<{type(self).__name__}: {len(self._kept)} records>"

    async def _keep(self, wanted: int | None) -> None:
        """Read on until there are this many records; None: all."""
        while not self._ended and (wanted is None or len(self._kept) < wanted):
            records, self._next = await self._fetch(self._next)
            self._kept += records
            self._ended = self._next is None


def _needed(place: int | slice) -> int | None:
    """Return how many records have to be read; None: all."""
    if isinstance(place, int):
        return None if place < 0 else place + 1
    start: int = place.start or 0
    stop: int | None = place.stop
    if stop is None or min(start, stop) < 0 or (place.step or 1) < 0:
        return None
    return max(start, stop)
