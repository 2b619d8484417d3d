"""The stream of events on standard output: one JSON object per line, and nothing else. Knows no training."""

import json
import os
from typing import Any, Literal

from training.control import leave

Type = Literal["phase", "progress", "epoch", "checkpoint", "log", "error", "done"]


class Events:
    """Writes events to a file descriptor it owns; a reader that is gone ends the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, event: Type, **data: Any) -> None:
        line = json.dumps({"type": event, **data}, allow_nan=False) + "\n"
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
