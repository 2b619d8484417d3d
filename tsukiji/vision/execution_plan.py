"""Execution plan of a network on this machine: device, precision, layout, streams and threads."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import torch

from tsukiji.kernel.cores import usable_cores
from tsukiji.types.execution import EngineName, Precision
from tsukiji.vision.device import choose_device

DTYPES: Final[dict[str, torch.dtype]] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
FAST_BFLOAT16: Final = ("amx_bf16", "avx512_bf16", "arm_bf16")
"""CPU flags for native bfloat16 multiplication; without it bfloat16 is slower than float32."""
CPU_BATCH: Final = 8
"""Batch size of one thread at `CPU_SIDE`; larger ones are no faster per image (measured), and slower to cancel."""
CPU_SIDE: Final = 224
GPU_BATCH: Final = 64
GPU_STREAMS: Final = 8
"""Most decoding threads for a GPU: more only wait for the GIL."""


@dataclass(frozen=True)
class Plan:
    """How to run a network.

    Attributes:
        device: as torch writes it.
        precision: of the body; the head always computes in float32.
        engine: computes the embeddings. What else needs the network, PyTorch computes.
        channels_last: memory format of images and maps.
        folded: batch normalisation is fused into the preceding convolution.
        compiled: by `torch.compile`.
        batch_size: images per forward pass.
        streams: threads that each read, decode and classify batches concurrently.
        threads: torch threads of each stream; 0 leaves torch's default.
        rounded: embeddings are rounded to half precision, as in the cache, so that caching makes no difference.
    """

    device: str = "cpu"
    precision: Precision = "float32"
    channels_last: bool = True
    folded: bool = False
    compiled: bool = False
    batch_size: int = 32
    streams: int = 1
    threads: int = 0
    rounded: bool = False
    engine: EngineName = "torch"

    @property
    def dtype(self) -> torch.dtype:
        """PyTorch's type of the body; it has no network in int8."""
        return DTYPES[best_precision(torch.device(self.device)) if self.precision == "int8" else self.precision]

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def begin_stream(self) -> None:
        """Set the number of torch threads for the calling thread."""
        if self.threads:
            set_threads(self.threads)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def exact(device: str = "auto", batch_size: int = 32) -> Plan:
    """Return the plan that matches the training: float32, nothing fused.

    Raises:
        Invalid: this machine has no such device.
    """
    found = choose_device(device)
    return Plan(str(found), channels_last=found.type != "mps", batch_size=batch_size)


def fastest(
    device: torch.device, engine: EngineName, precision: Precision, side: int = CPU_SIDE, cores: int = 0
) -> Plan:
    """Return the plan that embeds most images of this side per second on this device, on all cores or on fewer."""
    on_cpu = device.type == "cpu"
    cores = cores or usable_cores()
    of_same_pixels = round(CPU_BATCH * (CPU_SIDE / side) ** 2)
    return Plan(
        device=str(device),
        precision=precision,
        engine=engine,
        channels_last=device.type != "mps",
        folded=True,
        batch_size=min(GPU_BATCH, max(1, of_same_pixels)) if on_cpu else GPU_BATCH,
        streams=cores if on_cpu else min(cores, GPU_STREAMS),
        threads=1 if on_cpu else 0,
    )


def best_precision(device: torch.device) -> Precision:
    """Return the fastest precision of this device that preserves a classifier's results."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if device.type == "cpu":
        # Not in every supported version; without it, stay with float32.
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return "bfloat16" if any(capabilities.get(name) for name in FAST_BFLOAT16) else "float32"
    return "float32"


def take_all_cores() -> None:
    """Let the calling thread compute on all cores, regardless of the streams."""
    set_threads(usable_cores())


def set_threads(count: int) -> None:
    """Set the number of torch threads for the calling thread.

    A thread's first operation takes the number last set by any thread (`lazy_init_num_threads` in `ATen/Parallel.h`),
    which would undo this call, so a query comes first.
    """
    torch.get_num_threads()
    torch.set_num_threads(count)
