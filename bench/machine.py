"""The facts of a measurement, included in every result file."""

import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from tsukiji.kernel.cores import usable_cores

PACKAGES: Final = (
    "torch",
    "torchvision",
    "timm",
    "fastai",
    "pillow",
    "numpy",
    "fastapi",
    "uvicorn",
    "sqlalchemy",
    "celery",
)
SPEEDS: Final = ("avx", "amx", "sse4", "asimd", "sve", "bf16")
"""Prefixes of CPU flags that determine a network's speed."""


def machine() -> dict[str, Any]:
    """Return commit, date, processor with flags and cores, and the versions of relevant libraries."""
    return {
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "processor": described("model name") or "unknown",
        "flags": [flag for flag in described("flags").split() if flag.startswith(SPEEDS)],
        "cores": usable_cores(),
        "versions": {name: version for name in PACKAGES if (version := version_of(name))},
    }


def commit() -> str:
    """Return the commit, with `-dirty` if files were changed since; `unknown` without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        ended = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return ended.stdout.strip()


def described(name: str) -> str:
    """Return Linux's description of the first processor; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((value.strip() for key, _, value in (line.partition(":") for line in lines) if key.strip() == name), "")


def version_of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
