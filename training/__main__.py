"""`python -m training RUN_DIR`: one training, from `run.json` to `package/` and `report.json`.

Events go to standard output (`training/events.py`), orders come from standard input (`training/control.py`), whose end
ends the process; so by hand: `sleep infinity | python -m training RUN_DIR`.
"""

import errno
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Final

from training.control import Cancelled, Control, Exit
from training.events import open_stream
from training.job import train
from tsukiji.errors import GpuOutOfMemory, InternalError, StorageFull, TsukijiError

NICENESS: Final = 10
TEMPORARY_PATH: Final = 107 - len("/pymp-12345678/listener-12345678")
"""Bytes that the path of the temporary folder may have, so that Linux takes a socket in it."""


def main(folder: Path) -> Exit:
    """Run the training that `folder` describes; whatever goes wrong is an event."""
    events, control = open_stream(), Control()
    control.watch()
    if hasattr(os, "nice"):
        os.nice(NICENESS)  # on a machine without a GPU, whoever waits for a prediction goes first
    if len(os.fsencode(tempfile.gettempdir())) > TEMPORARY_PATH:
        # Decoding processes hand pictures over by a socket there, and where it cannot be made they lose them silently.
        tempfile.tempdir = "/tmp"  # noqa: S108 — names in it are drawn by `mkdtemp`
    try:
        train(folder, events, control)
    except Cancelled:
        return Exit.CANCELLED
    except Exception as error:  # noqa: BLE001 — the last frame: every failure must reach the worker by name
        traceback.print_exc()
        events.send("error", **named(error).to_dict())
        return Exit.FAILED
    events.send("done")
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


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m training RUN_DIR")
    sys.exit(main(Path(sys.argv[1])))
