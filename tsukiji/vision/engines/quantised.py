"""A body in int8 as one file: OpenVINO's topology and weights as two tensors, with the facts of its calibration.

Only files that this service made are read: OpenVINO's parser is not made for strangers' files.
"""

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tsukiji.errors import PackageInvalid
from tsukiji.vision.engines.openvino_runtime import core, openvino

TOPOLOGY: Final = "topology"
WEIGHTS: Final = "weights"
BODY: Final = "body"
IMAGES: Final = "images"


def write(path: Path, topology: bytes, weights: bytes, body: str, images: int) -> None:
    """Write a graph in int8.

    Args:
        path: of the file.
        topology: the graph's XML.
        weights: of the graph.
        body: the space of the body in float32 (`feature_cache.space_of`).
        images: calibrated on that many.
    """
    tensors = {name: np.frombuffer(data, np.uint8) for name, data in ((TOPOLOGY, topology), (WEIGHTS, weights))}
    facts = {BODY: body, IMAGES: str(images), "openvino": openvino.get_version()}
    draft = path.with_name(f".{path.name}.part")
    save_file(tensors, draft, metadata=facts)
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


def body_of(path: Path) -> str | None:
    """Return the space of the body that a file has in int8; None if there is no such file, or it is damaged."""
    try:
        with safe_open(path, "np") as file:
            found: str | None = file.metadata().get(BODY)
            return found
    except (SafetensorError, OSError, AttributeError):
        return None
