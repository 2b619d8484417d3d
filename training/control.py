"""Commands from the parent process over standard input. Knows no training."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from enum import IntEnum
from functools import partial
from types import FrameType
from typing import Final, NoReturn

PR_SET_PDEATHSIG: Final = 1


class Exit(IntEnum):
    """Exit status of the process."""

    DONE = 0
    FAILED = 1
    CANCELLED = 3
    ABANDONED = 4
    """The parent is gone, or sent a stop signal: another attempt can resume from the last checkpoint."""


class Cancelled(Exception):
    """The training was cancelled: nothing is kept."""


class Control:
    """The commands received so far: lines `cancel`, `finish`, `pause`, `resume`; end-of-file: the parent is gone.

    Reads the descriptor with `os.read`: a daemon thread blocked in `sys.stdin` aborts the interpreter at its exit.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._cancel = threading.Event()
        self._finish = threading.Event()
        self._go = threading.Event()
        self._go.set()

    @property
    def finishing(self) -> bool:
        """Return whether to stop after this step and keep the best epoch so far."""
        return self._finish.is_set()

    @property
    def cancelling(self) -> bool:
        """Return whether to stop and keep nothing. Asked between steps, it waits while the training is paused."""
        self._go.wait()
        return self._cancel.is_set()

    def check(self) -> None:
        """Raise Cancelled if requested."""
        if self.cancelling:
            raise Cancelled

    def obey(self, order: str) -> None:
        """Handle one line; unknown ones are ignored, so that an older engine works with a newer worker."""
        match order.strip():
            case "cancel":
                self._cancel.set()
                self._go.set()
            case "finish":
                self._finish.set()
            case "pause":
                self._go.clear()
            case "resume":
                self._go.set()

    def watch(self) -> None:
        """Start listening; from now on this process does not outlive its parent."""
        if sys.platform == "linux":
            os.register_at_fork(after_in_child=partial(_end_with_parent, ctypes.CDLL(None), os.getpid()))
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, _leave_on_signal)
        threading.Thread(target=self._read, name="control", daemon=True).start()

    def _read(self) -> None:
        rest = b""
        while received := os.read(self._descriptor, 4096):
            *lines, rest = (rest + received).split(b"\n")
            for line in lines:
                self.obey(line.decode(errors="replace"))
        leave()


def leave() -> NoReturn:
    """Exit at once, with all decoding processes. Checkpoints are atomic, so nothing is left half written."""
    for process in multiprocessing.active_children():
        process.kill()
    os._exit(Exit.ABANDONED)


def _end_with_parent(libc: ctypes.CDLL, parent: int) -> None:
    """Let the system kill this child when its parent ends.

    `leave` misses a child that is being forked at that moment; one did wait forever, and kept our output open.
    """
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(Exit.ABANDONED)


def _leave_on_signal(_signal: int, _frame: FrameType | None) -> NoReturn:
    leave()
