"""Who started this process has gone, or was told to stop: then this process stops, too. Knows no service."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

MAKE_VARIABLE: Final = "MAKE_PID"
"""Set by the Makefile, for the programs that run until they are stopped."""
POLL_SECONDS: Final = 0.2
STOP_SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Those that ask a process to stop; Windows has no SIGHUP."""


def heeded() -> list[signal.Signals]:
    """Return the signals to stop on. A SIGHUP that is ignored already stays so: `nohup` asked for that."""
    return [
        number for number in STOP_SIGNALS if number.name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN
    ]


def watch_stdin(stop: Callable[[], object]) -> None:
    """Call `stop` from a thread when standard input ends: the process that held its other end has gone."""
    _in_background("watch-stdin", _read_to_the_end, stop)


def watch_make(stop: Callable[[], object]) -> None:
    """Call `stop` from a thread when the `make` that runs this process has gone or was interrupted.

    GNU make passes SIGTERM on to its recipes, but no SIGINT and no SIGHUP: of these it expects that the terminal has
    told everyone, and waits. Does nothing where no make says that it is there.
    """
    make = os.environ.pop(MAKE_VARIABLE, None)  # not inherited: to our own children, make is no parent
    if make and make.isdecimal():
        _in_background("watch-make", lambda: _wait_for_make(int(make)), stop)


def _in_background(name: str, wait: Callable[[], None], stop: Callable[[], object]) -> None:
    def run() -> None:
        wait()
        stop()

    threading.Thread(target=run, name=name, daemon=True).start()


def _read_to_the_end() -> None:
    # os.read and not sys.stdin: a daemon thread blocked in sys.stdin aborts the interpreter when it exits.
    while os.read(0, 1024):
        pass


def _wait_for_make(make: int) -> None:
    looks = 0  # make also blocks its signals for a moment while it starts a recipe
    while looks < 2 and os.getppid() == make:
        looks = looks + 1 if _is_interrupted(make) else 0
        time.sleep(POLL_SECONDS)


def _is_interrupted(make: int) -> bool:
    """Is it handling a SIGINT or SIGHUP? Those are blocked meanwhile. Linux tells; elsewhere the answer is no."""
    try:
        status = Path(f"/proc/{make}/status").read_text("ascii", "replace")
    except OSError:
        return False
    blocked = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigBlk:")), 0)
    return any(blocked >> (number - 1) & 1 for number in (signal.SIGHUP, signal.SIGINT))
