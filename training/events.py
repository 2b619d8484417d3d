"""The stream of events on standard output: one JSON object per line. Knows no training."""

import json
import os
import time
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from training.control import leave
from tsukiji.types import EpochMetrics

ALIVE_SECONDS: Final = 5


class Phase(BaseModel):
    type: Literal["phase"] = "phase"
    name: str


class Progress(BaseModel):
    """Progress of a training; epochs and batches count from 1."""

    type: Literal["progress"] = "progress"
    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    eta_seconds: float


class Looked(BaseModel):
    """Number of embedded pictures."""

    type: Literal["looked"] = "looked"
    completed: int
    total: int


class Epoch(EpochMetrics):
    """An epoch has ended."""

    type: Literal["epoch"] = "epoch"


class Checkpoint(BaseModel):
    """The state after an epoch is saved."""

    type: Literal["checkpoint"] = "checkpoint"
    epoch: int
    path: Path


class Alive(BaseModel):
    type: Literal["alive"] = "alive"


class Log(BaseModel):
    type: Literal["log"] = "log"
    message: str


class Failed(BaseModel):
    """Why the engine failed, as in `TsukijiError.to_dict`; further members are the error's own."""

    model_config = ConfigDict(extra="allow")
    type: Literal["error"] = "error"
    code: str
    title: str
    detail: str
    hint: str | None = None
    retriable: bool = False


class Done(BaseModel):
    type: Literal["done"] = "done"


Event = Phase | Progress | Looked | Epoch | Checkpoint | Alive | Log | Failed | Done
EVENT: Final = TypeAdapter[Event](Annotated[Event, Field(discriminator="type")])


def parse(line: bytes) -> Event:
    """Return the event of a line.

    Raises:
        pydantic.ValidationError: the event is unknown.
    """
    return EVENT.validate_json(line)


class Events:
    """Writes events to a file descriptor it owns; exits when the reader is gone."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sent = 0.0

    def alive(self) -> None:
        """Send a keep-alive if due: a silent process is stopped."""
        if time.monotonic() - self._sent > ALIVE_SECONDS:
            self.send(Alive())

    def send(self, event: Event) -> None:
        """Write an event.

        Raises:
            ValueError: a number is not finite.
        """
        line = json.dumps(event.model_dump(), default=str, allow_nan=False) + "\n"
        self._sent = time.monotonic()
        view = memoryview(line.encode())
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except BrokenPipeError:
            leave()


def open_stream() -> Events:
    """Take over standard output for events; from now on libraries print to standard error."""
    descriptor = os.dup(1)
    os.dup2(2, 1)
    return Events(descriptor)
