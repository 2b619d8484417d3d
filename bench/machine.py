"""The facts of a measurement, included in every result file."""

import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from tsukiji.kernel.cores import usable_cores
from tsukiji.kernel.processor import processor, speed_flags

PACKAGES: Final = (
    "torch",
    "openvino",
    "nncf",
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


def machine() -> dict[str, Any]:
    """Return commit, date, processor with flags and cores, and the versions of relevant libraries."""
    return {
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        "flags": speed_flags(),
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


def version_of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
