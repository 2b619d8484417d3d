"""The bare forward pass: our engine with a worker's plan, on prepared pixels, and on files that it decodes."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

from bench.throughput.peers.answering import answer, package_folder
from tsukiji.kernel.settings import load
from tsukiji.vision import package
from tsukiji.vision.decoding.decode import DecodeLimits, decode
from tsukiji.vision.engines import Pixels
from tsukiji.vision.engines.selection import choose, choose_as
from tsukiji.vision.execution_plan import take_all_cores
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.streams import in_streams, parts_of


def bare_forward(folder: Path, files: Sequence[Path]) -> float:
    """Return the seconds that a package's network takes for the images of `files`, decoded and scaled beforehand.

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


def decoded_forward(folder: Path, files: Sequence[Path]) -> float:
    """Return the seconds from files to embeddings, in the worker's streams."""
    predictor = load_predictor(folder)
    plan, began = predictor.plan, time.perf_counter()
    for _ in in_streams(plan, parts_of(files, plan.batch_size, plan.streams), partial(embed_files, predictor)):
        pass
    return time.perf_counter() - began


def embed_files(predictor: Predictor, files: Sequence[Path]) -> None:
    predictor.engine.look(ready(predictor, files))


def timed_passes(predictor: Predictor, passes: Sequence[Pixels]) -> float:
    began = time.perf_counter()
    for inputs in passes:
        predictor.engine.look(inputs)
    return time.perf_counter() - began


def timed_streams(predictor: Predictor, passes: Sequence[Pixels]) -> float:
    plan = predictor.plan
    with ThreadPoolExecutor(plan.streams, initializer=plan.begin_stream) as pool:
        began = time.perf_counter()
        for future in [pool.submit(timed_passes, predictor, [inputs]) for inputs in passes]:
            future.result()
        return time.perf_counter() - began


@lru_cache(maxsize=1)
def load_predictor(folder: Path) -> Predictor:
    settings = load()
    inference, cache = settings.inference, settings.cache_dir
    told = package.read_calibration(folder).execution
    plan = told and choose_as(told, inference, cache, int8=(folder / package.INT8).exists())
    plan = plan or choose(inference, cache, int8=False)
    return Predictor.planned(folder, plan, cache)


def ready(predictor: Predictor, files: Sequence[Path]) -> Pixels:
    """Return fitted pictures (N, size, size, 3)."""
    side = predictor.preprocess.size
    images = [decode(file.read_bytes(), DecodeLimits(), target_side=side) for file in files]
    return predictor.preprocess.to_pixels(images)


if __name__ == "__main__":
    answer(
        lambda files: {
            "seconds": bare_forward(package_folder(), files),
            "seconds_decoded": decoded_forward(package_folder(), files),
        }
    )
