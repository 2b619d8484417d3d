"""The frame of every program started by a worker: events out, commands in, an exit status, and typed errors.

Events go to standard output (`training/events.py`), commands come from standard input (`training/control.py`), whose
end stops the process; so by hand: `sleep infinity | python -m training RUN_DIR`.
"""

import errno
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

from training.control import Cancelled, Control, Exit
from training.events import Done, Events, Failed, open_stream
from tsukiji.errors import GpuOutOfMemory, InternalError, StorageFull, TsukijiError

NICENESS: Final = 10

Work = Callable[[Path, Events, Control], object]
"""A program's work in its folder. It may raise `Cancelled`, or any error."""


def run(work: Work) -> Exit:
    """Do the work in the folder given on the command line; report any failure as an event."""
    if len(sys.argv) != 2:
        sys.exit("expected one argument, a folder")
    events, control = open_stream(), Control()
    control.watch()
    if hasattr(os, "nice"):
        os.nice(NICENESS)  # without a GPU, predictions go first
    try:
        work(Path(sys.argv[1]), events, control)
    except Cancelled:
        return Exit.CANCELLED
    except Exception as error:  # noqa: BLE001 — the last frame: every failure must reach the worker by name
        traceback.print_exc()
        events.send(Failed(**named(error).to_dict()))
        return Exit.FAILED
    events.send(Done())
    return Exit.DONE


def named(error: Exception) -> TsukijiError:
    """Return the error as a TsukijiError."""
    match error:
        case TsukijiError():
            return type(error)(_without_worker(error.detail), hint=error.hint, **error.extra)
        case RuntimeError() if "out of memory" in str(error):  # torch.OutOfMemoryError, and its likes on other devices
            return GpuOutOfMemory(str(error).partition(". ")[0] + ".")
        case OSError(errno=errno.ENOSPC):
            return StorageFull(str(error))
        case _:
            return InternalError(f"{type(error).__name__}: {error}")


def _without_worker(detail: str) -> str:
    """Return the one line of an error from a decoding process, without that process's traceback."""
    last = detail.strip().rpartition("\n")[2]
    return last.partition(": ")[2] if "Traceback" in detail else detail
