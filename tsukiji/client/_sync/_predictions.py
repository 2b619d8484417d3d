# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Synchronous predictions: the result usually arrives with the call."""

from contextlib import ExitStack
from typing import overload

from tsukiji.client._base import path
from tsukiji.client._pictures import Picture, part
from tsukiji.client._records import Asked, Prediction, Several
from tsukiji.client._sync._job import Job
from tsukiji.client._sync._transport import Transport


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
    wait, record = asked.pop("wait", 10), asked.pop("record", True)
    with ExitStack() as stack:
        response = transport.request(
            "POST",
            path("models", model, "predict"),
            files=[("files", part(picture, number, stack)) for number, picture in enumerate(several, 1)],
            data={name: str(value) for name, value in asked.items() if value is not None and value is not False},
            params={} if record else {"record": False},
            headers={"Prefer": f"wait={wait}"},
            timeout=transport.config.timeout_seconds + wait,
        )
    answer = response.json()
    if "predictions" not in answer:  # a job
        job = Job.bind(transport, answer)
        job.wait(progress=False)
        answer = job.result or {}
    found = [Prediction.model_validate(each) for each in answer["predictions"]]
    for prediction, picture in zip(found, several, strict=False):
        prediction._picture = picture  # noqa: SLF001 - ours
    return found if several is pictures else found[0]
