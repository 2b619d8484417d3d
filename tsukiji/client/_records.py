"""Records that are drawn in notebooks, and need no connection."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypedDict

from pydantic import PrivateAttr

from tsukiji import types
from tsukiji.client import _views as views
from tsukiji.client._frames import frame
from tsukiji.client._html import PICTURE_BYTES
from tsukiji.client._pictures import Picture, read

if TYPE_CHECKING:
    import pandas as pd


class Prediction(types.Prediction):
    """A prediction; a notebook shows its picture, if it came from this call, with what was found on it."""

    _picture: Picture | None = PrivateAttr(None)

    def _repr_html_(self) -> str:
        content = None
        if self._picture is not None:
            with suppress(OSError):  # the file is gone
                content = read(self._picture, PICTURE_BYTES)
        return views.prediction(self, content)


class Comparison(types.Comparison):
    """Two evaluations on the images they share."""

    def _repr_html_(self) -> str:
        return views.comparison(self)


class DatasetMap(types.DatasetMap):
    """The images of a data set in a plane."""

    def to_pandas(self) -> "pd.DataFrame":
        """Return a row for each image: `image_id`, `name`, `x`, `y`, `label`, `predicted`, `findings`, ...

        Raises:
            ImportError: pandas is not installed.
        """
        return frame(self.points)


Several = list[Any] | tuple[Picture, ...]
"""Up to 16 pictures. Any: `list[str]` is no `list[Picture]` to a type checker."""


class Asked(TypedDict, total=False):
    """Options of a prediction; see `Client.predict`."""

    top_k: int
    threshold: float
    min_known: float | None
    target_error: float | None
    confidence: float | None
    prediction_set: float | None
    tags: bool
    heatmap: str | None
    record: bool
    wait: int
