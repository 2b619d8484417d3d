"""NVIDIA GPUs of this machine, found without PyTorch: the supervisor starts at once, and holds no memory of a GPU."""

import os
import re
import socket
import subprocess
from typing import Final

from tsukiji.kernel.settings import Settings

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
SHARED: Final = "TSUKIJI_JOBS_SHARED_DEVICE"
ANY: Final = frozenset({"auto", "cuda"})
"""Settings of a device that mean a GPU, where there is one."""
LISTED: Final = re.compile(r"^GPU \d+: .*\(UUID: (GPU-[\w-]+)\)", re.MULTILINE)
LIST_SECONDS: Final = 20
"""A driver that starts takes some; without it there is no GPU to use."""


def find_gpus() -> list[str]:
    """Return names for CUDA_VISIBLE_DEVICES: those that are in it, otherwise the UUIDs that `nvidia-smi` lists."""
    if VISIBLE in os.environ:
        return [name.strip() for name in os.environ[VISIBLE].split(",") if name.strip()]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"],  # noqa: S607 - found on the PATH, where the driver puts it
            capture_output=True,
            text=True,
            timeout=LIST_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return LISTED.findall(listed.stdout)


def shared_device(settings: Settings) -> dict[str, str]:
    """Return the variable with which trainings and batches take turns on the only GPU; none where they need not."""
    free = settings.training.device in ANY and settings.inference.device in ANY and not settings.jobs.shared_device
    gpus = find_gpus() if free else []
    return {SHARED: f"{socket.gethostname()} {gpus[0]}"} if len(gpus) == 1 else {}


def inference_places(device: str) -> list[dict[str, str]]:
    """Return variables for each inference worker: one sees one GPU; a single worker sees what this process does.

    Args:
        device: `TSUKIJI_INFERENCE_DEVICE`; a GPU that is named there, or the CPU, is for one worker.
    """
    gpus = find_gpus() if device in ANY else []
    return [{VISIBLE: gpu} for gpu in gpus] if len(gpus) > 1 else [{}]
