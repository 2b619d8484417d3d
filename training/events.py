"""The stream of events on standard output: one JSON object per line, and nothing else. Knows no training."""

import json
import os
import time
from typing import Any, Final, Literal

from training.control import leave

Type = Literal["phase", "progress", "epoch", "checkpoint", "alive", "log", "error", "done"]
ALIVE_SECONDS: Final = 5


class Events:
    """Writes events to a file descriptor it owns; a reader that is gone ends the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sent = 0.0

    def alive(self) -> None:
        """Give a sign of life where there is nothing else to tell, now and then: who is silent for long is stopped."""
        if time.monotonic() - self._sent > ALIVE_SECONDS:
            self.send("alive")

    def send(self, event: Type, **data: Any) -> None:
        line = json.dumps({"type": event, **data}, allow_nan=False) + "\n"
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
