"""The frame of each program that a worker starts: events out, orders in, an exit status, and no error without a name.

Events go to standard output (`training/events.py`), orders come from standard input (`training/control.py`), whose end
ends the process; so by hand: `sleep infinity | python -m training RUN_DIR`.
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
"""What a program does with its folder. It may raise `Cancelled`, and whatever else."""


def run(work: Work) -> Exit:
    """Do the work in the folder that the command line names; whatever goes wrong is an event."""
    if len(sys.argv) != 2:
        sys.exit("expected one argument, a folder")
    events, control = open_stream(), Control()
    control.watch()
    if hasattr(os, "nice"):
        os.nice(NICENESS)  # on a machine without a GPU, whoever waits for a prediction goes first
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
    """Return the error as one of ours."""
    match error:
        case TsukijiError():
            return type(error)(_without_worker(error.detail), hint=error.hint, **error.extra)
        case RuntimeError() if "out of memory" in str(error):  # torch.OutOfMemoryError, and other devices' words for it
            return GpuOutOfMemory(str(error).partition(". ")[0] + ".")
        case OSError(errno=errno.ENOSPC):
            return StorageFull(str(error))
        case _:
            return InternalError(f"{type(error).__name__}: {error}")


def _without_worker(detail: str) -> str:
    """An error from a decoding process comes with that process's traceback around its one line."""
    last = detail.strip().rpartition("\n")[2]
    return last.partition(": ")[2] if "Traceback" in detail else detail
