"""The engine of a frozen body, for a training or an analysis."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from training.engine_options import EngineOptions
from training.run import Run
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.engines import Engine, Pixels
from tsukiji.vision.engines.opening import open_engine
from tsukiji.vision.engines.selection import pick
from tsukiji.vision.engines.speeds import installed
from tsukiji.vision.execution_plan import Plan, fastest
from tsukiji.vision.feature_cache import space_of
from tsukiji.vision.model import Classifier
from tsukiji.vision.preprocess import Preprocess

INT8: Final = "int8"
"""Folder of quantised bodies in a cache folder."""
LEAST_IMAGES: Final = 100
"""To calibrate a body on."""
FROZEN_IMAGES: Final = 1000
"""With fewer, a frozen body is not quantised: that would take longer than all the rest of a training."""
CALIBRATED_ON: Final = 64
"""With twice as many, embeddings are no more like those in float32 (measured)."""


@dataclass(frozen=True)
class Samples:
    """Pictures to calibrate a body on.

    Attributes:
        images: how many there are.
        read: returns a number of them, fitted, (N, S, S, 3).
        check: called meanwhile; may raise.
    """

    images: int
    read: Callable[[int], Pixels]
    check: Callable[[], None]


def samples_of(run: Run, preprocess: Preprocess, check: Callable[[], None]) -> Samples:
    """Return a run's training images."""
    pictures = [run.images[index] for index in run.of_split("train")]
    limits = DecodeLimits(**run.limits)

    def read(most: int) -> Pixels:
        found = []
        for picture in pictures[:: -(-len(pictures) // most)]:
            check()
            found.append(preprocess.to_pixels([picture.open(limits, preprocess.size)]))
        return np.concatenate(found)

    return Samples(len(pictures), read, check)


def open_frozen(
    model: Classifier,
    backbone: str,
    preprocess: Preprocess,
    device: torch.device,
    options: EngineOptions,
    samples: Samples | None = None,
) -> tuple[Engine, Plan, Path | None]:
    """Return what computes embeddings with a body that is not trained, how, and its file if it is in int8.

    A body is quantised once on each machine, on the first samples that are enough.

    Raises:
        Invalid: the engine that was asked for is not there.
    """
    if options.cache is None:
        plan = fastest(device, *pick(device, "torch", options.precision, Path()), preprocess.size, options.threads)
        return open_engine(model, backbone, preprocess, plan), plan, None
    choice, file = pick(device, options.engine, options.precision, options.cache), None
    if choice[1] == "int8":
        file = find_int8(model, backbone, preprocess, options.cache, samples)
        choice = pick(device, options.engine, options.precision, options.cache, int8=file is not None)
    plan = fastest(device, *choice, preprocess.size, options.threads)
    return open_engine(model, backbone, preprocess, plan, options.cache, file), plan, file


def find_int8(
    model: Classifier, backbone: str, preprocess: Preprocess, cache: Path, samples: Samples | None
) -> Path | None:
    """Return the file of a frozen body in int8, which is made if it can be; else None."""
    from tsukiji.vision.engines.quantised import facts_of  # noqa: PLC0415 - OpenVINO, which is optional

    file = cache / INT8 / f"{space_of(model.body_state(), backbone, preprocess)}.safetensors"
    facts = facts_of(file)
    if facts is not None:
        return file if facts.good else None
    if samples is None or samples.images < FROZEN_IMAGES:
        return None
    return file if calibrate(model, backbone, preprocess, samples, CALIBRATED_ON, file) else None


def calibrate(
    model: Classifier, backbone: str, preprocess: Preprocess, samples: Samples, most: int, target: Path
) -> bool:
    """Quantise a body into a file; return whether its embeddings are like those in float32."""
    if samples.images < LEAST_IMAGES or not installed("nncf"):
        return False
    from training.quantisation import quantise  # noqa: PLC0415 - OpenVINO, which is optional

    body = space_of(model.body_state(), backbone, preprocess)
    facts = quantise(model, preprocess, body, samples.read(most), target, samples.check)
    return facts is not None and facts.good
