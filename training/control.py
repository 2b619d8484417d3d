"""Orders from the process that started this one, over standard input. Knows no training."""

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
    """What the process says as it ends."""

    DONE = 0
    FAILED = 1
    CANCELLED = 3
    ABANDONED = 4
    """The starter is gone, or sent a signal to stop: another attempt can go on from the last checkpoint."""


class Cancelled(Exception):
    """The order was to stop and to keep nothing."""


class Control:
    """The orders so far. `cancel` and `finish` come as lines; end-of-file means that the starter is gone.

    The descriptor is read with `os.read`: a daemon thread blocked in `sys.stdin` aborts the interpreter at its exit.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._cancel = threading.Event()
        self._finish = threading.Event()

    @property
    def finishing(self) -> bool:
        """Has `finish` been ordered: stop after this step, keep the best so far?"""
        return self._finish.is_set()

    @property
    def cancelling(self) -> bool:
        return self._cancel.is_set()

    def check(self) -> None:
        """Raise Cancelled if that was ordered."""
        if self.cancelling:
            raise Cancelled

    def obey(self, order: str) -> None:
        """Take one line; what is not known is left alone, so that an older engine serves a newer worker."""
        if order.strip() == "cancel":
            self._cancel.set()
        elif order.strip() == "finish":
            self._finish.set()

    def watch(self) -> None:
        """Start listening; from now on this process does not outlive its starter."""
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
    """End at once, decoding processes included. Checkpoints are written atomically, so nothing is left half done."""
    for process in multiprocessing.active_children():
        process.kill()
    os._exit(Exit.ABANDONED)


def _end_with_parent(libc: ctypes.CDLL, parent: int) -> None:
    """Let the system kill this child when its parent ends.

    `leave` cannot know a child that is being forked at that moment; one did wait for ever, and kept our output open.
    """
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(Exit.ABANDONED)


def _leave_on_signal(_signal: int, _frame: FrameType | None) -> NoReturn:
    leave()
