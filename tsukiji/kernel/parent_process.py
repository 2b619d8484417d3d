"""Stops this process when its parent is gone, or was told to stop."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

MAKE_VARIABLE: Final = "MAKE_PID"
"""Set by the Makefile for long-running programs."""
POLL_SECONDS: Final = 0.2
STOP_SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a process to stop; Windows has no SIGHUP."""


def heeded() -> list[signal.Signals]:
    """Return the signals to stop on. An ignored SIGHUP is left ignored: `nohup` set that."""
    return [
        number for number in STOP_SIGNALS if number.name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN
    ]


def watch_stdin(stop: Callable[[], object]) -> None:
    """Call `stop` from a thread when standard input ends: the process at its other end is gone."""
    _in_background("watch-stdin", _read_to_the_end, stop)


def watch_make(stop: Callable[[], object]) -> None:
    """Call `stop` from a thread when the `make` that runs this process is gone or interrupted.

    GNU make passes SIGTERM to its recipes, but not SIGINT and SIGHUP: it expects the terminal to send these to all
    processes, and waits. Does nothing unless run by our Makefile.
    """
    make = os.environ.pop(MAKE_VARIABLE, None)  # not inherited: for our own children, make is no parent
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
    looks = 0  # make also blocks its signals briefly while it starts a recipe
    while looks < 2 and os.getppid() == make:
        looks = looks + 1 if _is_interrupted(make) else 0
        time.sleep(POLL_SECONDS)


def _is_interrupted(make: int) -> bool:
    """Return whether make is handling a SIGINT or SIGHUP, which are blocked meanwhile. Linux only, otherwise False."""
    try:
        status = Path(f"/proc/{make}/status").read_text("ascii", "replace")
    except OSError:
        return False
    blocked = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigBlk:")), 0)
    return any(blocked >> (number - 1) & 1 for number in (signal.SIGHUP, signal.SIGINT))
