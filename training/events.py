"""The stream of events on standard output: one JSON object per line, and nothing else. Knows no training."""

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
    """How far a training is; epochs and batches count from 1."""

    type: Literal["progress"] = "progress"
    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    eta_seconds: float


class Looked(BaseModel):
    """How many pictures are embedded."""

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
    """Why the engine ends, as `TsukijiError.to_dict` tells it; further members are the error's own."""

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
        pydantic.ValidationError: there is no such event.
    """
    return EVENT.validate_json(line)


class Events:
    """Writes events to a file descriptor it owns; a reader that is gone ends the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sent = 0.0

    def alive(self) -> None:
        """Give a sign of life where there is nothing else to tell, now and then: who is silent for long is stopped."""
        if time.monotonic() - self._sent > ALIVE_SECONDS:
            self.send(Alive())

    def send(self, event: Event) -> None:
        """Write an event.

        Raises:
            ValueError: a number of it is none.
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
    """Take standard output for the events; what libraries print goes to standard error from now on."""
    descriptor = os.dup(1)
    os.dup2(2, 1)
    return Events(descriptor)
