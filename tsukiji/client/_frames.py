"""Records as a pandas data frame. pandas is imported when asked for: the client is light without it."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T", bound=BaseModel)


def frame(records: Iterable[BaseModel]) -> "pd.DataFrame":
    """Return a row for each record; members of members become columns such as `image.width`.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ImportError("to_pandas() needs pandas: pip install 'tsukiji[pandas]'") from error
    return pd.json_normalize([record.model_dump(exclude={"links", "object"}) for record in records])


class Stream(Generic[T]):
    """Records that arrive one by one, to be read a single time."""

    def __init__(self, records: Iterator[T]) -> None:
        self._records = records

    def __iter__(self) -> Iterator[T]:
        return self._records

    def __next__(self) -> T:
        return next(self._records)

    def to_pandas(self) -> "pd.DataFrame":
        """Return the rest as a data frame, a row for each; needs `tsukiji[pandas]`."""
        return frame(self._records)
