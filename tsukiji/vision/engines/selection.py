"""Chooses engine and precision of this machine: what embeds most pictures per second, measured once."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final, get_args

import numpy as np
import torch

from tsukiji.errors import Invalid, WeightsInvalid, WeightsUnavailable
from tsukiji.kernel.settings import InferenceSettings
from tsukiji.types.execution import EngineName, EngineSpeed, Execution, Precision
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.device import choose_device
from tsukiji.vision.engines.engine import Engine
from tsukiji.vision.engines.opening import float_graph, open_engine
from tsukiji.vision.engines.speeds import alone, installed, keep, preferred, recall
from tsukiji.vision.execution_plan import Plan, best_precision, fastest
from tsukiji.vision.model import build, build_on
from tsukiji.vision.weights import load_backbone_weights

NETWORK: Final = "efficientnet_lite0"
SIDE: Final = 224
BATCH: Final = 8
LEAST_SECONDS: Final = 0.4
"""Processor time of each measurement."""

Choice = tuple[EngineName, Precision]


def choose(settings: InferenceSettings, cache: Path, *, int8: bool = True) -> Plan:
    """Return the fastest plan for this machine; explicit settings are used unchanged.

    On a CPU, one thread per stream leaves no core waiting for another: while one stream decodes, others compute. On a
    GPU the streams are there to decode.

    Args:
        settings: the user's.
        cache: folder in which measurements are kept.
        int8: whether the network can be had in int8.

    Raises:
        Invalid: this machine has no such device, or not this engine.
    """
    device = choose_device(settings.device)
    plan = fastest(device, *pick(device, settings.engine, settings.precision, cache, int8=int8))
    threads = settings.threads or plan.threads
    streams = max(1, plan.streams // threads) if device.type == "cpu" else plan.streams
    formats = {"channels_last": True, "contiguous": False, "auto": plan.channels_last}
    return replace(
        plan,
        channels_last=formats[settings.memory_format],
        folded=settings.fold,
        compiled=settings.compile,
        batch_size=settings.batch_size or plan.batch_size,
        streams=settings.streams or streams,
        threads=threads,
        rounded=settings.features_mb > 0,
    )


def choose_as(told: Execution, settings: InferenceSettings, cache: Path, *, int8: bool) -> Plan | None:
    """Return the plan in this engine and precision; None if the machine is not able to, or settings forbid it."""
    device, asked = choose_device(settings.device), (settings.engine, settings.precision)
    here = has_openvino(device) if told.engine == "openvino" else True
    able = here and (told.engine, told.precision) in abilities(device, told.engine)
    if not able or asked[0] not in {"auto", told.engine} or asked[1] not in {"auto", told.precision}:
        return None
    if told.precision == "int8" and not int8:
        return None
    return choose(settings.model_copy(update=told.model_dump(include={"engine", "precision"})), cache)


def pick(device: torch.device, engine: str, precision: str, cache: Path, *, int8: bool = True) -> Choice:
    """Return engine and precision for a device, each as asked for unless `auto`.

    Without int8, what would be that is chosen among the others.

    Raises:
        Invalid: the engine is not there for this device.
    """
    there = has_openvino(device)
    if engine == "openvino" and not there:
        raise Invalid(
            f"OpenVINO is not available for {device.type}.",
            hint="Install the extra `inference` and compute on the CPU, or set TSUKIJI_INFERENCE_ENGINE=auto.",
        )
    engines = [name for name in get_args(EngineName) if engine in {"auto", name} and (there or name == "torch")]
    possible = [one for name in engines for one in abilities(device, name) if int8 or one[1] != "int8"]
    if wanted := [one for one in possible if precision == one[1]]:
        possible = wanted
    elif precision not in {"auto", "int8"}:  # slow here, but asked for
        return "torch", next(one for one in get_args(Precision) if one == precision)
    if len(possible) == 1 or engines == ["torch"]:
        return possible[-1]
    best = preferred([one for one in measured(device, cache) if (one.engine, one.precision) in possible])
    return best.engine, best.precision


def abilities(device: torch.device, engine: EngineName) -> list[Choice]:
    """Return what a device computes without emulation, PyTorch's best last."""
    if engine == "torch":
        best = best_precision(device)
        return [("torch", "float32")] if best == "float32" else [("torch", "float32"), ("torch", best)]
    from tsukiji.vision.engines.openvino_runtime import core  # noqa: PLC0415 - needs OpenVINO, which is optional

    told = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    names: list[tuple[str, Precision]] = [("FP32", "float32"), ("BF16", "bfloat16"), ("INT8", "int8")]
    return [("openvino", precision) for ability, precision in names if ability in told]


def has_openvino(device: torch.device) -> bool:
    return device.type == "cpu" and installed("openvino") is not None


def measured(device: torch.device, cache: Path) -> list[EngineSpeed]:
    """Return the speed of all that this CPU is able to; measuring takes a second or two for each, and is done once."""
    if found := recall(cache):
        return found
    with alone(cache):
        if found := recall(cache):
            return found
        choices = [one for name in get_args(EngineName) for one in abilities(device, name)]
        found = [
            EngineSpeed(
                engine=engine, precision=precision, images_per_second=round(speed_of(engine, precision, cache), 1)
            )
            for engine, precision in choices
        ]
        keep(cache, found)
        return found


def speed_of(engine: EngineName, precision: Precision, cache: Path) -> float:
    """Return the images per second of processor time with one thread; so other programs do not matter."""
    plan = Plan("cpu", precision, engine=engine, folded=True, threads=1)
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, SIDE, SIDE, 3), np.uint8)
    with ThreadPoolExecutor(1, initializer=plan.begin_stream) as thread:
        look = thread.submit(sample, plan, cache).result().look
        thread.submit(look, pixels).result()  # compiles
        passes, began = 0, time.process_time()
        while (spent := time.process_time() - began) < LEAST_SECONDS or not passes:
            thread.submit(look, pixels).result()
            passes += 1
    return passes * BATCH / spent


def sample(plan: Plan, cache: Path) -> Engine:
    """Return an engine with a network; in int8, of made-up ranges.

    With pretrained weights, if a package has them: so the first training finds their graph converted.
    """
    preprocess = preprocess_of(NETWORK, SIDE)
    try:
        body, _ = load_backbone_weights(NETWORK, folder=None, download=False)
        model = build_on(NETWORK, body, 1).eval()
    except (WeightsUnavailable, WeightsInvalid):
        model = build(NETWORK, 1).eval()
    if plan.precision != "int8":
        return open_engine(model, NETWORK, preprocess, plan, cache)
    from tsukiji.vision.engines import graphs  # noqa: PLC0415 - needs OpenVINO, which is optional
    from tsukiji.vision.engines.openvino_engine import OpenVinoEngine  # noqa: PLC0415 - OpenVINO again

    graph = graphs.pretend_int8(float_graph(model, NETWORK, preprocess, cache))
    return OpenVinoEngine(graph, "", model.num_embedded, plan)
