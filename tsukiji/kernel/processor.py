"""The processor's name and abilities, as far as Linux tells them."""

from functools import cache
from pathlib import Path
from typing import Final

SPEEDS: Final = ("avx", "amx", "sse4", "asimd", "sve", "bf16")
"""Prefixes of CPU flags that determine a network's speed."""


@cache
def described(name: str) -> str:
    """Return Linux's description of the first processor; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((value.strip() for key, _, value in (line.partition(":") for line in lines) if key.strip() == name), "")


def processor() -> str:
    """Return its model name; several kinds may share one on virtual machines, see `speed_flags`."""
    return described("model name") or "unknown"


def speed_flags() -> list[str]:
    return [flag for flag in described("flags").split() if flag.startswith(SPEEDS)]
