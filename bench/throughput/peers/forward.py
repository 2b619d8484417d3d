"""The bare forward pass: the product's own engine, loaded as a worker does it, on inputs that are ready."""

import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.throughput.peers.answering import answer, package_folder
from tsukiji.settings import load
from tsukiji.vision.decode import DecodeLimits, decode
from tsukiji.vision.predictor import Predictor


def bare_forward(folder: Path, files: Sequence[Path]) -> float:
    """Return the seconds that a package's network takes for so many images, decoded and scaled beforehand.

    One batch of inputs is used again and again: what the pixels show makes no difference to the time.
    """
    predictor = load_predictor(folder)
    inputs = ready(predictor, files[: predictor.batch_size])
    began = time.perf_counter()
    for start in range(0, len(files), len(inputs)):
        predictor._pass(inputs[: len(files) - start])  # noqa: SLF001 — what is public decodes and scales as well
    return time.perf_counter() - began


@lru_cache(maxsize=1)
def load_predictor(folder: Path) -> Predictor:
    inference = load().inference
    return Predictor.load(folder, inference.device, inference.batch_size)


def ready(predictor: Predictor, files: Sequence[Path]) -> npt.NDArray[np.float32]:
    """Return the network's inputs (N, 3, size, size)."""
    side = predictor.preprocess.size
    return predictor.preprocess.to_array(
        [decode(file.read_bytes(), DecodeLimits(), target_side=side) for file in files]
    )


if __name__ == "__main__":
    answer(lambda files: {"seconds": bare_forward(package_folder(), files)})
