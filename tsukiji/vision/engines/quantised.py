"""A body in int8 as one file: OpenVINO's topology and weights as two tensors, with the facts of its calibration.

Only files that this service made are read: OpenVINO's parser is not made for strangers' files.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tsukiji.errors import PackageInvalid
from tsukiji.vision.engines.openvino_runtime import core, openvino

TOPOLOGY: Final = "topology"
WEIGHTS: Final = "weights"
LEAST_LIKENESS: Final = 0.9
"""Of embeddings, on the pictures of the calibration; a body that loses more is not used in int8."""


@dataclass(frozen=True)
class Facts:
    """How a body was quantised.

    Attributes:
        body: its space in float32 (`feature_cache.space_of`).
        images: it was calibrated on that many.
        likeness: mean correlation of its embeddings with those in float32.
    """

    body: str
    images: int
    likeness: float

    @property
    def good(self) -> bool:
        return self.likeness >= LEAST_LIKENESS


def write(path: Path, topology: bytes, weights: bytes, facts: Facts) -> None:
    """Write a graph in int8: its XML, and its weights."""
    tensors = {name: np.frombuffer(data, np.uint8) for name, data in ((TOPOLOGY, topology), (WEIGHTS, weights))}
    told = {name: str(value) for name, value in asdict(facts).items()} | {"openvino": openvino.get_version()}
    draft = path.with_name(f".{path.name}.part")
    save_file(tensors, draft, metadata=told)
    draft.replace(path)


def read(path: Path) -> tuple[Any, str]:
    """Return the graph, and the file's sha256.

    Raises:
        PackageInvalid: it is damaged.
    """
    try:
        with safe_open(path, "np") as file:
            topology, weights = (file.get_tensor(name) for name in (TOPOLOGY, WEIGHTS))
        graph = core().read_model(topology.tobytes(), openvino.Tensor(weights))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise PackageInvalid(f"{path.name} cannot be read: {error}") from error
    with path.open("rb") as file:
        return graph, hashlib.file_digest(file, "sha256").hexdigest()


def facts_of(path: Path) -> Facts | None:
    """Return how a body was quantised; None if there is no such file, or it is damaged."""
    try:
        with safe_open(path, "np") as file:
            told = file.metadata()
        return Facts(told["body"], int(told["images"]), float(told["likeness"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None
