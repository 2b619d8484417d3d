"""Opens the engine that a plan names."""

from pathlib import Path
from typing import Any, Final

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
    from tsukiji.vision.engines import quantised  # noqa: PLC0415 - OpenVINO, which is optional
    from tsukiji.vision.engines.openvino_engine import OpenVinoEngine  # noqa: PLC0415 - OpenVINO again

    body = model.body_state()
    if plan.precision == "int8":
        if int8 is None or not int8.exists():
            raise Invalid("This network was not quantised.")
        graph, digest = quantised.read(int8)
        space = space_of(body, backbone, preprocess, f"openvino int8 {digest}")
        return OpenVinoEngine(graph, space, model.num_embedded, plan)
    graph = float_graph(model, backbone, preprocess, cache)
    space = space_of(body, backbone, preprocess, f"openvino {plan.precision}")
    return OpenVinoEngine(graph, space, model.num_embedded, plan)


def float_graph(model: Classifier, backbone: str, preprocess: Preprocess, cache: Path | None) -> Any:
    """Return a network's graph in float32, from the cache folder if it was kept there; needs OpenVINO."""
    from tsukiji.vision.engines import graphs  # noqa: PLC0415 - OpenVINO, which is optional

    if cache is None:
        return graphs.convert(model, preprocess)
    kept, name = graphs.GraphCache(cache / GRAPHS), space_of(model.body_state(), backbone, preprocess)
    graph = kept.read(name)
    return kept.write(name, graphs.convert(model, preprocess)) if graph is None else graph
