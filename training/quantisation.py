"""Has a body quantised by a process of its own (`training.quantise`), and keeps the result."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from training.quantise import BODY, GRAPH, PIXELS, RESULT
from tsukiji.vision.engines import Pixels, graphs
from tsukiji.vision.engines.openvino_runtime import openvino
from tsukiji.vision.engines.quantised import Facts, facts_of
from tsukiji.vision.model import Classifier
from tsukiji.vision.preprocess import Preprocess

TICK_SECONDS: Final = 0.2
PYTHON: Final = [sys.executable, "-m", "training.quantise"]


def quantise(
    model: Classifier, preprocess: Preprocess, body: str, pixels: Pixels, target: Path, check: Callable[[], None]
) -> Facts | None:
    """Write a body in int8 to `target`; return how, or None if it cannot be quantised.

    Args:
        model: the network, in float32.
        preprocess: of its pictures.
        body: its space in float32.
        pixels: to calibrate on, (N, S, S, 3).
        target: the file.
        check: called meanwhile; may raise.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as scratch:
        folder = Path(scratch)
        if not facts_of(target):
            target.unlink(missing_ok=True)  # damaged
        openvino.serialize(graphs.convert(model, preprocess), *(folder / name for name in GRAPH))
        np.save(folder / PIXELS, pixels)
        (folder / BODY).write_text(body, "utf-8")
        root = Path(__file__).parents[1]
        with subprocess.Popen(
            [*PYTHON, str(folder)], cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as process:
            try:
                while process.poll() is None:
                    check()
                    try:
                        process.wait(TICK_SECONDS)
                    except subprocess.TimeoutExpired:
                        continue
            finally:
                process.kill()
        if process.returncode == 0:
            with suppress(FileExistsError):  # another process was first, and its file may be in use
                target.hardlink_to(folder / RESULT)
    return facts_of(target)
