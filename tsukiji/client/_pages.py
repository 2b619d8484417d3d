"""A paged list that reads like one. Knows no HTTP."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Paged(Generic[T]):
    """Iterates over all records; pages are fetched on demand."""

    def __init__(self, fetch: Callable[[str | None], tuple[list[T], str | None]]) -> None:
        self._fetch = fetch

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page

    def pages(self) -> Iterator[list[T]]:
        cursor: str | None = None
        while True:
            records, cursor = self._fetch(cursor)
            yield records
            if cursor is None:
                return
