"""How much memory programs hold at most while something goes on."""

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import psutil

from worker.memory import family

LOOK_SECONDS: Final = 0.2


class Peaks:
    """A `with` block; afterwards `megabytes` has each program's peak, what is below it included.

    Resident memory, looked at five times a second: Linux alone knows a true peak, and that of single processes.
    """

    def __init__(self, programs: Mapping[str, psutil.Process]) -> None:
        self._programs = programs
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.megabytes: dict[str, float] = dict.fromkeys(programs, 0.0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            for name, process in self._programs.items():
                self.megabytes[name] = max(self.megabytes[name], family(process.pid))
            if self._stop.wait(LOOK_SECONDS):
                return
