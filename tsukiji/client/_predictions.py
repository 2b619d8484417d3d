"""Synchronous predictions: the result usually arrives with the call."""

from contextlib import ExitStack, suppress
from typing import Any, TypedDict, overload

from pydantic import PrivateAttr

from tsukiji import types
from tsukiji.client import _views as views
from tsukiji.client._base import path
from tsukiji.client._html import PICTURE_BYTES
from tsukiji.client._job import Job
from tsukiji.client._pictures import Picture, part, read
from tsukiji.client._transport import Transport


class Prediction(types.Prediction):
    """A prediction; a notebook shows its picture, if it came from this call, with what was found on it."""

    _picture: Picture | None = PrivateAttr(None)

    def _repr_html_(self) -> str:
        content = None
        if self._picture is not None:
            with suppress(OSError):  # the file is gone
                content = read(self._picture, PICTURE_BYTES)
        return views.prediction(self, content)


Several = list[Any] | tuple[Picture, ...]
"""Up to 16 pictures. Any: `list[str]` is no `list[Picture]` to a type checker."""


class Asked(TypedDict, total=False):
    """Options of a prediction; see `Client.predict`."""

    top_k: int
    threshold: float
    min_known: float | None
    tags: bool
    heatmap: str | None
    wait: int


@overload
def predict(transport: Transport, pictures: Picture, model: str, asked: Asked) -> Prediction: ...


@overload
def predict(transport: Transport, pictures: Several, model: str, asked: Asked) -> list[Prediction]: ...


@overload
def predict(
    transport: Transport, pictures: Picture | Several, model: str, asked: Asked
) -> Prediction | list[Prediction]: ...


def predict(
    transport: Transport, pictures: Picture | Several, model: str, asked: Asked
) -> Prediction | list[Prediction]:
    """Send pictures and return their predictions in order, one for one, polling if `wait` seconds are too few.

    Raises:
        JobFailedError: no picture could be classified; `job.error` says why.
        APIError: the service refused the request or is unreachable.
    """
    several = pictures if isinstance(pictures, (list, tuple)) else [pictures]
    wait = asked.pop("wait", 10)
    with ExitStack() as stack:
        response = transport.request(
            "POST",
            path("models", model, "predict"),
            files=[("files", part(picture, number, stack)) for number, picture in enumerate(several, 1)],
            data={name: str(value) for name, value in asked.items() if value is not None and value is not False},
            headers={"Prefer": f"wait={wait}"},
            timeout=transport.config.timeout_seconds + wait,
        )
    job = Job.bind(transport, response.json()).wait(progress=False)
    found = [Prediction.model_validate(record) for record in (job.result or {})["predictions"]]
    for prediction, picture in zip(found, several, strict=False):
        prediction._picture = picture  # noqa: SLF001 - ours
    return found if several is pictures else found[0]
