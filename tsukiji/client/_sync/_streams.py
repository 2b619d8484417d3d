# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Records that arrive one by one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

from tsukiji.client._frames import frame

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T", bound=BaseModel)


class Stream(Generic[T]):
    """Records that are read a single time, while they arrive."""

    def __init__(self, records: Iterator[T]) -> None:
        self._records = records

    def __iter__(self) -> Iterator[T]:
        return self._records

    def __next__(self) -> T:
        return next(self._records)

    def to_pandas(self) -> "pd.DataFrame":
        """Return the rest as a data frame, a row for each; needs `tsukiji[pandas]`."""
        return frame([record for record in self._records])
