"""Selects the device to compute on."""

import torch

from tsukiji.errors import Invalid


def choose_device(name: str) -> torch.device:
    """Return the device called `name`; `auto` is the best available one: CUDA, then Apple's MPS, then the CPU.

    Raises:
        Invalid: this machine has no such device.
    """
    if name == "auto":
        return torch.device(_best())
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise Invalid(
            f"The device {name!r} is not available: {error}", hint="Use auto, cpu, cuda, cuda:1 or mps."
        ) from error
    return device


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def memory_of(device: str) -> dict[str, int]:
    """Return the used and total bytes of a GPU, by all processes together; nothing for other devices."""
    if not device.startswith("cuda"):
        return {}
    free, total = torch.cuda.mem_get_info(device)
    return {"used": total - free, "total": total}
