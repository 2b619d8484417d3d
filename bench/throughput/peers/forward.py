"""The bare forward pass: our engine with a worker's plan, on prepared tensors."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from bench.throughput.peers.answering import answer, package_folder
from tsukiji.kernel.settings import load
from tsukiji.vision.decoding.decode import DecodeLimits, decode
from tsukiji.vision.execution_plan import choose, take_all_cores
from tsukiji.vision.predictor import Predictor


def bare_forward(folder: Path, files: Sequence[Path]) -> float:
    """Return the seconds that a package's network takes for so many images, decoded, scaled and normalised beforehand.

    Many run in the worker's streams, in its passes; a single one on all cores, as the lane does it. The same inputs are
    used again and again: what the pixels show makes no difference to the time.
    """
    predictor = load_predictor(folder)
    size = min(predictor.batch_size, len(files))
    inputs = ready(predictor, files[:size])
    if len(files) == 1:
        take_all_cores()
        return timed_passes(predictor, [inputs])
    passes = [inputs[: len(files) - start] for start in range(0, len(files), size)]
    return timed_streams(predictor, passes)


@torch.inference_mode()
def timed_passes(predictor: Predictor, passes: Sequence[Tensor]) -> float:
    began = time.perf_counter()
    for inputs in passes:
        predictor.model.embed(inputs)
    return time.perf_counter() - began


def timed_streams(predictor: Predictor, passes: Sequence[Tensor]) -> float:
    plan = predictor.plan
    with ThreadPoolExecutor(plan.streams, initializer=plan.begin_stream) as pool:
        began = time.perf_counter()
        for future in [pool.submit(timed_passes, predictor, [inputs]) for inputs in passes]:
            future.result()
        return time.perf_counter() - began


@lru_cache(maxsize=1)
def load_predictor(folder: Path) -> Predictor:
    return Predictor.planned(folder, choose(load().inference))


def ready(predictor: Predictor, files: Sequence[Path]) -> Tensor:
    """Return the network's inputs (N, 3, size, size)."""
    side = predictor.preprocess.size
    images = [decode(file.read_bytes(), DecodeLimits(), target_side=side) for file in files]
    return predictor.normalise(predictor.preprocess.to_pixels(images))


if __name__ == "__main__":
    answer(lambda files: {"seconds": bare_forward(package_folder(), files)})
