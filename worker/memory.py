"""Memory: a training that exceeds its limit fails, a worker that has grown is replaced, free memory is given back."""

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
"""Default limit, as a fraction of the container's or the machine's memory."""
CONTAINER_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""A container's limit, in versions 2 and 1 of Linux's control groups."""
M_TRIM_THRESHOLD: Final = -1
TRIM_BYTES: Final = 128 * 1024


def check(pid: int, limit_mb: int) -> None:
    """Check the memory of a process with all its descendants.

    Raises:
        OutOfMemory: it exceeds `limit_mb`; 0 means 90% of the available memory.
    """
    allowed, used = allowance(limit_mb, TRAINING_SHARE), family(pid)
    if used > allowed:
        raise OutOfMemory(f"It used {used:,.0f} MB; {allowed:,.0f} MB are allowed.")


def retire_if_grown(limit_mb: int) -> bool:
    """Stop this worker gracefully between jobs if it exceeds `limit_mb` (0: half of the available memory).

    Returns whether it stops. Its supervisor starts a new one: nothing else frees memory leaked by a library.
    """
    allowed, used = allowance(limit_mb, WORKER_SHARE), psutil.Process().memory_info().rss / MEGABYTE
    if used <= allowed:
        return False
    log.warning("worker_retires", megabytes=round(used), allowed=round(allowed))
    os.kill(os.getpid(), signal.SIGTERM)
    return True


def give_back_soon() -> None:
    """Return free memory at the end of the heap to the system, however large earlier blocks were.

    With each larger block that is freed, glibc otherwise caches more (mallopt(3), `M_MMAP_THRESHOLD`). That suits a
    network, whose maps are allocated again and again, but a program that reads archives grows with their size. Other C
    libraries do not do this, and have no such function.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)


def give_back_now() -> None:
    """Return all free memory to the system: after work that took much more than what is kept of it."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def allowance(limit_mb: int, share: float) -> float:
    return limit_mb or share * usable() / MEGABYTE


def usable() -> int:
    """Return the available memory in bytes: the container's limit, if there is one, or the machine's."""
    limits = [psutil.virtual_memory().total]
    for path in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # "max" means no limit
            limits.append(int(path.read_text("ascii")))
    return min(limits)


def family(pid: int) -> float:
    """Return the megabytes of a process and its descendants; shared memory counts once (on Linux)."""
    try:
        first = psutil.Process(pid)
        infos = [process.memory_info() for process in (first, *first.children(recursive=True)) if process.is_running()]
    except psutil.NoSuchProcess:
        return 0.0
    shared = [getattr(info, "shared", 0) for info in infos]
    return float(sum(info.rss for info in infos) - sum(shared) + max(shared)) / MEGABYTE
