"""Opens the engine that a plan names."""

from pathlib import Path
from typing import Final

from tsukiji.errors import Invalid
from tsukiji.vision.engines.engine import Engine
from tsukiji.vision.engines.torch_engine import TorchEngine
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.feature_cache import space_of
from tsukiji.vision.model import Classifier
from tsukiji.vision.preprocess import Preprocess

GRAPHS: Final = "graphs"
"""Folder of converted bodies in a cache folder."""


def open_engine(
    model: Classifier,
    backbone: str,
    preprocess: Preprocess,
    plan: Plan,
    cache: Path | None = None,
    int8: Path | None = None,
) -> Engine:
    """Return what computes embeddings with a network's body.

    Args:
        model: the network, in float32; PyTorch's engine changes it, OpenVINO's leaves it as it was.
        backbone: its name.
        preprocess: of the pictures.
        plan: names engine and precision.
        cache: folder in which converted bodies are kept; None keeps none.
        int8: the body's file in int8, for a plan in that precision, see `quantised`.

    Raises:
        Invalid: the plan is in int8, and there is no such file.
    """
    if plan.engine == "torch":
        return TorchEngine(model, backbone, preprocess, plan)
    from tsukiji.vision.engines import graphs, quantised  # noqa: PLC0415 - OpenVINO, which is optional
    from tsukiji.vision.engines.openvino_engine import OpenVinoEngine  # noqa: PLC0415 - OpenVINO again

    body = model.body_state()
    if plan.precision == "int8":
        if int8 is None or not int8.exists():
            raise Invalid("This network was not quantised.")
        graph, digest = quantised.read(int8)
        space = space_of(body, backbone, preprocess, f"openvino int8 {digest}")
        return OpenVinoEngine(graph, space, model.num_embedded, plan)
    name = space_of(body, backbone, preprocess)
    kept = graphs.GraphCache(cache / GRAPHS) if cache else None
    graph = kept and kept.read(name)
    if graph is None:
        graph = graphs.convert(model, preprocess)
        graph = kept.write(name, graph) if kept else graph
    space = space_of(body, backbone, preprocess, f"openvino {plan.precision}")
    return OpenVinoEngine(graph, space, model.num_embedded, plan)
