"""Synchronous predictions: the result usually arrives with the call."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._job import Job
from tsukiji.client._transport import Transport

Picture = str | os.PathLike[str] | bytes
"""A path, or the bytes of a picture file."""


def predict(
    transport: Transport,
    pictures: Sequence[Picture],
    model: str,
    top_k: int,
    threshold: float,
    min_known: float | None,
    wait: int,
    *,
    tags: bool = False,
    heatmap: str | None = None,
) -> list[types.Prediction]:
    """Send up to 16 pictures and return their predictions in order, polling if `wait` seconds are too few.

    Raises:
        JobFailedError: no picture could be classified; `job.error` says why.
        APIError: the service refused the request or is unreachable.
    """
    with ExitStack() as stack:
        response = transport.request(
            "POST",
            path("models", model, "predict"),
            files=[("files", _part(picture, number, stack)) for number, picture in enumerate(pictures, 1)],
            data={"top_k": str(top_k), "threshold": str(threshold)}
            | _given(min_known=min_known, tags=tags or None, heatmap=heatmap),
            headers={"Prefer": f"wait={wait}"},
            timeout=transport.config.timeout_seconds + wait,
        )
    job = Job.bind(transport, response.json()).wait(progress=False)
    return [types.Prediction.model_validate(record) for record in (job.result or {})["predictions"]]


def _given(**options: float | bool | str | None) -> dict[str, str]:
    return {name: str(value) for name, value in options.items() if value is not None}


def _part(picture: Picture, number: int, stack: ExitStack) -> tuple[str, BinaryIO | bytes]:
    if isinstance(picture, bytes):
        return f"{number}", picture
    file = Path(picture)
    return file.name, stack.enter_context(file.open("rb"))
