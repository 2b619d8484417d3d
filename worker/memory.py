"""How much memory work may take: a training that takes more fails, a worker that has grown is replaced."""

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
import structlog

from tsukiji.errors import OutOfMemory

log = structlog.get_logger(__name__)

MEGABYTE = 2**20
TRAINING_SHARE = 0.9
WORKER_SHARE = 0.5
"""Of the container's or the machine's memory, where the settings name no number."""
CONTAINER_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""As a container sees its own, by the second and the first version of Linux's control groups."""
M_TRIM_THRESHOLD: Final = -1
TRIM_BYTES: Final = 128 * 1024


def check(pid: int, limit_mb: int) -> None:
    """Weigh a process with all below it.

    Raises:
        OutOfMemory: they hold more than `limit_mb`; 0 stands for 90% of what there is.
    """
    allowed, used = allowance(limit_mb, TRAINING_SHARE), family(pid)
    if used > allowed:
        raise OutOfMemory(f"It used {used:,.0f} MB; {allowed:,.0f} MB are allowed.")


def retire_if_grown(limit_mb: int) -> bool:
    """Stop this worker in good order, between two works, when it holds more than `limit_mb` (0: half of what there is).

    Returns whether it stops. Whoever started it starts a new one: memory that a library lost comes back no other way.
    """
    allowed, used = allowance(limit_mb, WORKER_SHARE), psutil.Process().memory_info().rss / MEGABYTE
    if used <= allowed:
        return False
    log.warning("worker_retires", megabytes=round(used), allowed=round(allowed))
    os.kill(os.getpid(), signal.SIGTERM)
    return True


def give_back_soon() -> None:
    """Let memory that is free at the end of the heap go back to the system, however large the blocks were before.

    With each larger block that is freed, glibc otherwise keeps more of what is free (mallopt(3), `M_MMAP_THRESHOLD`).
    That is good for a network, whose maps come again; a program that goes through archives grows with their size. Other
    C libraries have no such habit, and no such function.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)


def allowance(limit_mb: int, share: float) -> float:
    return limit_mb or share * usable() / MEGABYTE


def usable() -> int:
    """Return the bytes of memory that there are for us: a container's, where it has a limit, not the machine's."""
    limits = [psutil.virtual_memory().total]
    for path in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # "max" is none
            limits.append(int(path.read_text("ascii")))
    return min(limits)


def family(pid: int) -> float:
    """Return the megabytes of a process and its descendants; what they share (Linux tells) counts once."""
    try:
        first = psutil.Process(pid)
        infos = [process.memory_info() for process in (first, *first.children(recursive=True)) if process.is_running()]
    except psutil.NoSuchProcess:
        return 0.0
    shared = [getattr(info, "shared", 0) for info in infos]
    return float(sum(info.rss for info in infos) - sum(shared) + max(shared)) / MEGABYTE
