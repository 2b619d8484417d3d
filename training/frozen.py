"""The engine of a frozen body, for a training or an analysis."""

from pathlib import Path

import torch

from training.engine_options import EngineOptions
from tsukiji.vision.engines import Engine
from tsukiji.vision.engines.opening import open_engine
from tsukiji.vision.engines.selection import pick
from tsukiji.vision.execution_plan import Plan, fastest
from tsukiji.vision.model import Classifier
from tsukiji.vision.preprocess import Preprocess


def open_frozen(
    model: Classifier, backbone: str, preprocess: Preprocess, device: torch.device, options: EngineOptions
) -> tuple[Engine, Plan]:
    """Return what computes embeddings with a body that is not trained, and how.

    Raises:
        Invalid: the engine that was asked for is not there.
    """
    engine = options.engine if options.cache else "torch"
    choice = pick(device, engine, options.precision, options.cache or Path(), int8=False)
    plan = fastest(device, *choice, preprocess.size, options.threads)
    return open_engine(model, backbone, preprocess, plan, options.cache), plan
