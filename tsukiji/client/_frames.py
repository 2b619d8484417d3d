"""Records as a pandas data frame. pandas is imported when asked for: the client is light without it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import BaseModel

if TYPE_CHECKING:
    import pandas as pd


def frame(records: Iterable[BaseModel]) -> "pd.DataFrame":
    """Return a row for each record; members of members become columns such as `image.width`.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - pandas is an optional extra
    except ImportError as error:
        raise ImportError("to_pandas() needs pandas: pip install 'tsukiji[pandas]'") from error
    return pd.json_normalize([record.model_dump(exclude={"links", "object"}) for record in records])
