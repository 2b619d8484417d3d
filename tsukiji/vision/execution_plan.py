"""How a network is run on this machine: device, precision, layout, streams and threads. Knows no model."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import torch

from tsukiji.kernel.cores import usable_cores
from tsukiji.kernel.settings import InferenceSettings
from tsukiji.vision.device import choose_device

Precision = Literal["float32", "bfloat16", "float16"]
DTYPES: Final[dict[str, torch.dtype]] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
FAST_BFLOAT16: Final = ("amx_bf16", "avx512_bf16", "arm_bf16")
"""What a processor calls it that it multiplies bfloat16 itself; without it that is slower than float32."""
CPU_BATCH: Final = 8
"""Of one thread; more compute no faster per image (measured), and a shorter pass lets go sooner when cancelled."""
GPU_BATCH: Final = 64
GPU_STREAMS: Final = 8
"""So many threads decode for a GPU at most: more of them wait for Python's lock."""


@dataclass(frozen=True)
class Plan:
    """How to run a network.

    Attributes:
        device: as torch writes it.
        precision: of the body; the head always computes in float32.
        channels_last: of the memory format of images and maps.
        folded: batch normalisation that follows a convolution is folded into its weights.
        compiled: by `torch.compile`.
        batch_size: images in one forward pass.
        streams: batches that are read, decoded and classified at the same time, each by a thread.
        threads: of each stream within torch's operations; 0 leaves torch's default.
        rounded: embeddings are rounded to half precision, as they are kept: whether they were makes no difference.
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

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.precision]

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def begin_stream(self) -> None:
        """Give the calling thread its number of torch's threads."""
        if self.threads:
            set_threads(self.threads)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def exact(device: str = "auto", batch_size: int = 32) -> Plan:
    """Return the plan that computes what the training computed: float32, nothing folded.

    Raises:
        Invalid: there is no such device here.
    """
    found = choose_device(device)
    return Plan(str(found), channels_last=found.type != "mps", batch_size=batch_size)


def choose(wishes: InferenceSettings) -> Plan:
    """Return the fastest plan for this machine; what the settings name is taken as it is.

    On a CPU one thread for each stream leaves no core waiting for another: while one stream decodes, others compute. On
    a GPU the streams are there to decode.

    Raises:
        Invalid: there is no such device here.
    """
    device = choose_device(wishes.device)
    on_cpu = device.type == "cpu"
    cores = usable_cores()
    threads = wishes.threads or (1 if on_cpu else 0)
    streams = wishes.streams or (max(1, cores // threads) if on_cpu else min(cores, GPU_STREAMS))
    formats = {"channels_last": True, "contiguous": False, "auto": device.type != "mps"}
    return Plan(
        device=str(device),
        precision=best_precision(device) if wishes.precision == "auto" else wishes.precision,
        channels_last=formats[wishes.memory_format],
        folded=wishes.fold,
        compiled=wishes.compile,
        batch_size=wishes.batch_size or (CPU_BATCH if on_cpu else GPU_BATCH),
        streams=streams,
        threads=threads,
        rounded=wishes.features_mb > 0,
    )


def best_precision(device: torch.device) -> Precision:
    """Return the precision in which this device computes fastest, of those that keep a classifier's answers."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if device.type == "cpu":
        # Not in every version that is supported; without it, nothing is risked.
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return "bfloat16" if any(capabilities.get(name) for name in FAST_BFLOAT16) else "float32"
    return "float32"


def take_all_cores() -> None:
    """Let the calling thread compute on all cores, whatever streams have asked for."""
    set_threads(usable_cores())


def set_threads(count: int) -> None:
    """Give the calling thread so many of torch's threads.

    A thread's first operation takes the number that any thread has set last (`lazy_init_num_threads` in
    `ATen/Parallel.h`), and so would undo this one: the first operation is to ask.
    """
    torch.get_num_threads()
    torch.set_num_threads(count)
