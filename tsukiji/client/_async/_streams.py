"""Records that arrive one by one."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

from tsukiji.client._frames import frame

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T", bound=BaseModel)


class AsyncStream(Generic[T]):
    """Records that are read a single time, while they arrive."""

    def __init__(self, records: AsyncIterator[T]) -> None:
        self._records = records

    def __aiter__(self) -> AsyncIterator[T]:
        return self._records

    async def __anext__(self) -> T:
        return await anext(self._records)

    async def to_pandas(self) -> "pd.DataFrame":
        """Return the rest as a data frame, a row for each; needs `tsukiji[pandas]`."""
        return frame([record async for record in self._records])
