"""What engines were measured to do on this machine, kept in a file. Knows no torch."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from tsukiji.kernel.processor import processor, speed_flags
from tsukiji.types.execution import EngineSpeed

FILE: Final = "engines.json"
LIBRARIES: Final = ("torch", "openvino")
INT8_GAIN: Final = 1.15
"""Least speed-up over the fastest other precision: int8 must be calibrated for each body."""
SPEEDS: Final = TypeAdapter(list[EngineSpeed])


def recall(cache: Path) -> list[EngineSpeed]:
    """Return what was measured with this processor and these versions, fastest first; empty if nothing was."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads((cache / FILE).read_text("utf-8"))
        if kept["machine"] == machine():
            return SPEEDS.validate_python(kept["speeds"])
    return []


def keep(cache: Path, speeds: Sequence[EngineSpeed]) -> None:
    """Remember speeds; a folder that cannot be written only costs another measurement."""
    rows = [one.model_dump() for one in sorted(speeds, key=lambda one: -one.images_per_second)]
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        draft = cache / f".{FILE}.{os.getpid()}"
        draft.write_text(json.dumps({"machine": machine(), "speeds": rows}, indent=1), "utf-8")
        draft.replace(cache / FILE)


@contextmanager
def alone(cache: Path) -> Iterator[None]:
    """Hold off other processes that would measure the same machine at the same time, which takes twice as long."""
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{FILE}.lock").open("a") if cache.is_dir() else nullcontext() as file:
        if file:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def machine() -> dict[str, Any]:
    """Return what speeds depend on."""
    return {"processor": processor(), "flags": speed_flags(), "versions": {name: installed(name) for name in LIBRARIES}}


def installed(name: str) -> str | None:
    """Return the version of a library; None if it is not installed."""
    try:
        return version(name) if find_spec(name) else None
    except PackageNotFoundError:
        return None


def preferred(speeds: Sequence[EngineSpeed]) -> EngineSpeed:
    """Return the fastest; int8 only where it gains much."""
    best = max(speeds, key=lambda one: one.images_per_second)
    others = [one for one in speeds if one.precision != "int8"]
    if best.precision != "int8" or not others:
        return best
    second = max(others, key=lambda one: one.images_per_second)
    return best if best.images_per_second >= INT8_GAIN * second.images_per_second else second
