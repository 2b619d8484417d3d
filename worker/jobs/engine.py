"""The engine (a training or a conversion) as a child process: events out, commands in; it ends when we do.

Knows no rows.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import structlog

from training.events import Event, parse
from tsukiji.kernel.cores import usable_cores

log = structlog.get_logger(__name__)

ROOT = Path(__file__).parents[2]
TAIL_LINES = 20


class Engine:
    """`python -m MODULE FOLDER` as a context manager: on exit, the process is gone.

    A process of its own has a fresh CUDA context and DataLoader workers, returns its memory, and may crash alone.
    """

    def __init__(self, folder: Path, stop_seconds: float, threads: int = 0, module: str = "training") -> None:
        self._folder = folder
        self._module = module
        self._threads = threads or max(1, usable_cores() - 1)
        self._stop_seconds = stop_seconds
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self.tail: list[str] = []
        """The last lines it wrote to standard error."""

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module, str(self._folder)],
            cwd=ROOT,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
            # Spinning threads occupy the core that another thread needs: with two busy neighbours on two cores an epoch
            # took 60 s and more instead of 8; with one thread less and no spinning, 12.
            env=os.environ | {"OMP_NUM_THREADS": str(self._threads), "OMP_WAIT_POLICY": "PASSIVE"},
        )
        self._readers = [
            threading.Thread(target=act, args=(stream,), daemon=True)
            for act, stream in ((self._read_events, self._process.stdout), (self._read_log, self._process.stderr))
        ]
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(timeout=1)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream:
                stream.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    def events(self, tick_seconds: float) -> Iterator[Event | None]:
        """Yield events as they arrive, None after each tick without one; ends with the process's output.

        Raises:
            pydantic.ValidationError: a line is no known event.
        """
        while True:
            try:
                line = self._lines.get(timeout=tick_seconds)
            except queue.Empty:
                yield None
                continue
            if line is None:
                self._process.wait()
                return
            yield parse(line)

    def order(self, word: str) -> None:
        """Send `cancel` or `finish`; ignored if the process has ended."""
        stdin = self._process.stdin
        if stdin is None or self._process.poll() is not None:
            return
        try:
            stdin.write(f"{word}\n".encode())
            stdin.flush()
        except BrokenPipeError:
            log.info("engine_order_late", order=word)

    def _read_events(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._lines.put(line)
        self._lines.put(None)

    def _read_log(self, stream: IO[bytes]) -> None:
        for line in stream:
            self.tail = [*self.tail[1 - TAIL_LINES :], line.decode(errors="replace").rstrip()]
            log.debug("engine_log", line=self.tail[-1])
