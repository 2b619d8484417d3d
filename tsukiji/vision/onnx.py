"""Exports a model package as one ONNX file, and compares it with the original. Needs the extra `export`."""

import importlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from tsukiji.errors import ExportFailed
from tsukiji.types import Kind
from tsukiji.vision import package
from tsukiji.vision.predictor import Predictor, load_model
from tsukiji.vision.preprocess import Preprocess

INPUT: Final = "images"
OUTPUT: Final = "probabilities"
OPSET: Final = 18
"""Supported by runtimes since 2023, and the native version of PyTorch's exporter."""
BATCH: Final = 16
TOLERANCE: Final = 1e-3
"""A larger difference of probabilities is no rounding: the export fails."""
LIBRARIES: Final = ("onnx", "onnxruntime", "onnxscript")

Probabilities = npt.NDArray[np.float32]


class Calibrated(nn.Module):
    """Normalised images (N, 3, size, size) to calibrated probabilities (N, classes)."""

    def __init__(self, model: nn.Module, temperature: float, kind: Kind) -> None:
        super().__init__()
        self.model = model
        self.kind = kind
        self.register_buffer("temperature", torch.tensor(temperature))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images) / self.temperature
        return logits.softmax(1) if self.kind == "single_label" else logits.sigmoid()


def export_onnx(folder: Path, target: Path, images: Sequence[Image.Image]) -> dict[str, Any]:
    """Write the package's network to `target`: float32, any batch size, with temperature and softmax.

    For multi-label models it is the sigmoid, with the thresholds in the file's properties. Statistics for "none of
    these" are not exported: they are no part of the network.

    Args:
        folder: a model package.
        target: the file to write.
        images: RGB pictures, at least one, to compare file and network on, both on the CPU.

    Returns:
        Facts: input, output, opset, versions, and the comparison (see `compare`).

    Raises:
        ExportFailed: a library is missing, the exporter failed, or the file gives other results.
        PackageInvalid: the package is damaged.
    """
    libraries = {name: _library(name) for name in LIBRARIES}
    predictor = Predictor.load(folder, "cpu", BATCH)  # verifies the package
    config, preprocess = package.read_config(folder), package.read_preprocess(folder)
    calibration = package.read_calibration(folder)
    network = Calibrated(load_model(folder, config), calibration.temperature, config.kind)
    _write(network.eval(), preprocess.size, target)
    texts: dict[str, Any] = {"label_names": config.label_names, "preprocess": preprocess.to_dict(), "kind": config.kind}
    if config.kind == "multi_label":
        texts["thresholds"] = predictor.thresholds
    opset = _describe(libraries["onnx"], target, texts)
    found = _run(libraries["onnxruntime"], target, preprocess, images)
    facts = compare(predictor.predict(images), found)
    if not facts["max_difference"] <= TOLERANCE:  # also catches NaN
        raise ExportFailed(f"The ONNX file's probabilities differ by up to {facts['max_difference']:.3g}.")
    shape = ["batch", 3, preprocess.size, preprocess.size]
    return {
        "opset": opset,
        "input": {"name": INPUT, "dtype": "float32", "shape": shape},
        "output": {"name": OUTPUT, "dtype": "float32", "shape": ["batch", config.num_classes]},
        **facts,
        "versions": {name: version(name) for name in ("torch", *LIBRARIES)},
    }


def compare(expected: Probabilities, found: Probabilities) -> dict[str, Any]:
    """Return the largest difference of probabilities (N, classes), and how many images get the same label."""
    return {
        "images": len(expected),
        "max_difference": float(np.abs(expected - found).max(initial=0)),
        "top1_agreement": float((expected.argmax(1) == found.argmax(1)).mean()),
    }


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)  # noqa: TID251 - optional extras
    except ImportError as error:
        raise ExportFailed(
            f"Export to ONNX needs {name}, which is not installed on this worker.",
            hint="Where the intake workers run, in the checkout: pip install '.[export]'.",
        ) from error


def _write(model: nn.Module, size: int, target: Path) -> None:
    example = torch.zeros(2, 3, size, size)  # with a batch of one, the exporter would fix the batch size
    try:
        torch.onnx.export(
            model,
            (example,),
            target,
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=({0: "batch"},),
            external_data=False,
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ExportFailed(f"PyTorch's exporter failed: {error}") from error


def _describe(onnx: Any, target: Path, texts: Mapping[str, Any]) -> int:
    """Write the metadata into the file, check the file, and return its opset.

    Removes the exporter's references to our source files.
    """
    model = onnx.load(target)
    graph, functions = model.graph, model.functions
    values = (*graph.input, *graph.output, *graph.initializer, *graph.value_info)
    nodes = (*graph.node, *(node for function in functions for node in function.node))
    for part in (graph, *values, *nodes, *functions):
        del part.metadata_props[:]
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in texts.items()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)
    return next(int(entry.version) for entry in model.opset_import if not entry.domain)


def _run(onnxruntime: Any, target: Path, preprocess: Preprocess, images: Sequence[Image.Image]) -> Probabilities:
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
    rows = [session.run([OUTPUT], {INPUT: preprocess.to_array(batch)})[0] for batch in batches]
    found: Probabilities = np.concatenate(rows)
    return found
