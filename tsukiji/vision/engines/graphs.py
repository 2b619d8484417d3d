"""A network's body as an OpenVINO graph: pixels in, embeddings and the sums of the last maps out.

Converted from PyTorch by OpenVINO's own front end, which takes a second, and kept as files, so that it is done once.
"""

import os
import shutil
import tempfile
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from tsukiji.vision.engines.openvino_runtime import FrontEndManager, PrePostProcessor, core, openvino
from tsukiji.vision.model import Classifier
from tsukiji.vision.preprocess import Preprocess

KEPT_BYTES: Final = 2**30
"""Most bytes of graphs in a folder."""
TOPOLOGY: Final = "graph.xml"
WEIGHTS: Final = "graph.bin"


class Summed(nn.Module):
    """Normalised images (N, 3, H, W) to embeddings (N, E) and summed last maps (N, h, w)."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        embeddings, maps = self.model.look(images)
        return embeddings, maps.sum(1)


def convert(model: Classifier, preprocess: Preprocess) -> Any:
    """Return the graph of a float32 network, for fitted pictures (N, H, W, 3), uint8, of any number and size."""
    from openvino.frontend.pytorch import ts_decoder  # noqa: PLC0415, TID251 - imports much, and is rarely needed

    example = torch.zeros(2, 3, preprocess.size, preprocess.size)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer's future, and of shapes that are constants here
        traced = torch.jit.trace(Summed(model).eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
        decoder = ts_decoder.TorchScriptPythonDecoder(traced, example_input=(example,))
    front_end = FrontEndManager().load_by_framework("pytorch")
    prepared = PrePostProcessor(front_end.convert(front_end.load(decoder)))
    pixels = prepared.input()
    pixels.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    pixels.model().set_layout(openvino.Layout("NCHW"))
    steps = pixels.preprocess().convert_element_type(openvino.Type.f32)
    steps.mean([255 * value for value in preprocess.mean]).scale([255 * value for value in preprocess.std])
    return prepared.build()


def maps_of(graph: Any) -> Any:
    """Return the part of a graph of `convert` that ends at the maps: those before the last stage, and the last."""
    embeddings, sums = (result.input(0).get_source_output().get_node() for result in graph.get_results())
    means = embeddings.input(0).get_source_output().get_node()
    return openvino.Model([node.input(0).get_source_output() for node in (means, sums)], graph.get_parameters())


def pretend_int8(graph: Any) -> Any:
    """Return the graph, changed to compute in int8 with made-up ranges: about as fast as one that is calibrated."""
    ops = openvino.opset13
    maps, weights = ([ops.constant(np.float32(end)) for end in (low, 1, low, 1)] for low in (0, -1))
    for node in graph.get_ordered_ops():
        constant = [kind_above(one) in {"Constant", "Reshape", "Convert"} for one in node.inputs()]
        convolves = node.get_type_name() in {"Convolution", "GroupConvolution"}
        if not convolves and (node.get_type_name() != "Add" or any(constant)):
            continue
        for port, weight in zip(node.inputs(), constant, strict=True):
            source = port
            while kind_above(source) in {"Pad", "MaxPool"}:  # these compute in int8 what they get in int8
                source = source.get_source_output().get_node().input(0)
            ends, levels = (weights, 255) if weight else (maps, 256)
            source.replace_source_output(ops.fake_quantize(source.get_source_output(), *ends, levels).output(0))
    return graph


def kind_above(source: Any) -> str:
    name: str = source.get_source_output().get_node().get_type_name()
    return name


@dataclass(frozen=True)
class GraphCache:
    """A folder of graphs, by the names of their spaces. A fault of the folder only costs another conversion."""

    folder: Path
    most_bytes: int = KEPT_BYTES

    def read(self, name: str) -> Any | None:
        """Return a graph whose weights are mapped from its file; None if there is none."""
        place = self._place(name)
        with suppress(OSError, RuntimeError):
            os.utime(place)
            return core().read_model(place / TOPOLOGY, place / WEIGHTS)
        return None

    def write(self, name: str, graph: Any) -> Any:
        """Keep a graph, evicting the oldest if there are too many; return it with its weights mapped."""
        with suppress(OSError, RuntimeError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".") as draft:
                openvino.serialize(graph, Path(draft) / TOPOLOGY, Path(draft) / WEIGHTS)
                self._trim(keep=bytes_of(Path(draft)))
                with suppress(OSError):  # another process was first
                    Path(draft).rename(self._place(name))
                    Path(draft).mkdir()  # for the one that deletes it
        return self.read(name) or graph

    def _place(self, name: str) -> Path:
        return self.folder / f"{name}-{openvino.get_version().partition('-')[0]}"

    def _trim(self, keep: int) -> None:
        places = [place for place in self.folder.iterdir() if not place.name.startswith(".")]
        sizes = {place: bytes_of(place) for place in sorted(places, key=lambda place: place.stat().st_mtime)}
        surplus = sum(sizes.values()) + keep - self.most_bytes
        for place, size in sizes.items():
            if surplus > 0:
                shutil.rmtree(place, ignore_errors=True)
                surplus -= size


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
