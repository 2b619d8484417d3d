"""`python -m training.quantise FOLDER`: a body's graph in int8, calibrated on pictures (post-training quantisation).

A process of its own: NNCF takes seconds and hundreds of megabytes, and changes what it imports. Knows no torch.
"""

import logging
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tsukiji.vision.engines import quantised
from tsukiji.vision.engines.openvino_runtime import core, openvino
from tsukiji.vision.engines.quantised import Facts

GRAPH: Final = ("graph.xml", "graph.bin")
PIXELS: Final = "pixels.npy"
BODY: Final = "body.txt"
RESULT: Final = "int8.safetensors"
COMPARED: Final = 48
"""Most pictures whose embeddings are compared."""


def main() -> int:
    """Read graph, pixels (N, S, S, 3) and the body's space from the folder, and write the graph in int8 there."""
    folder = Path(sys.argv[1])
    sys.modules["torch"] = None  # type: ignore[assignment]  # NNCF would import it, in 2 s, and needs it for others
    import nncf  # noqa: PLC0415, TID251 - after the line above, and after OpenVINO without telemetry
    from openvino._offline_transformations import apply_moc_transformations  # noqa: PLC0415, TID251 - optional, as NNCF is

    nncf.set_log_level(logging.ERROR)
    graph = core().read_model(*(folder / name for name in GRAPH))
    pixels = np.load(folder / PIXELS)
    apply_moc_transformations(graph, cf=True)  # fuses batch normalisation, so that NNCF can correct the biases
    graph.reshape([1, *pixels.shape[1:]])
    found = nncf.quantize(
        graph,
        nncf.Dataset([each[None] for each in pixels]),
        preset=nncf.QuantizationPreset.MIXED,  # with a zero point where activations have both signs
        subset_size=len(pixels),
        # Seven bits for weights: with eight, sums overflow on processors without VNNI, which may serve it later.
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
    )
    likeness = compare(*(embed(each, pixels[:COMPARED]) for each in (graph, found)))
    found.reshape([-1, -1, -1, 3])
    result = folder / "result.xml"
    openvino.serialize(found, result, result.with_suffix(".bin"))
    facts = Facts((folder / BODY).read_text("utf-8"), len(pixels), likeness)
    quantised.write(folder / RESULT, result.read_bytes(), result.with_suffix(".bin").read_bytes(), facts)
    return 0


def embed(graph: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    compiled = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([np.array(compiled(each[None])[0]) for each in pixels])


def compare(exact: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return the mean correlation of embeddings (N, E), as deviations from the pictures' mean."""
    here, there = exact - exact.mean(axis=0), found - exact.mean(axis=0)
    products = (here * there).sum(axis=1)
    lengths = np.linalg.norm(here, axis=1) * np.linalg.norm(there, axis=1)
    return float((products / np.maximum(lengths, np.finfo(np.float32).tiny)).mean())


if __name__ == "__main__":
    sys.exit(main())
