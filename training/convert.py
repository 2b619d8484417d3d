"""`python -m training.convert FOLDER`: converts a model, from `conversion.json` to a file and `facts.json`.

Events and commands as of a training (`training/program.py`). Runs in a process of its own: PyTorch's exporter and
fastai take seconds and hundreds of megabytes to load.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from training import program
from training.control import Control
from training.conversion import Conversion, read_request, target_of, write_facts
from training.events import Events, Phase
from tsukiji.errors import ImageError
from tsukiji.types import ExportFormat
from tsukiji.vision import package
from tsukiji.vision.decoding.decode import DecodeLimits, decode
from tsukiji.vision.onnx import export_onnx

NOISE_IMAGES: Final = 8

Write = Callable[[Path, Path, list[Image.Image]], dict[str, Any]]


def convert(folder: Path, events: Events, control: Control) -> None:
    """Write the model and its facts into `folder`.

    Raises:
        Cancelled
        TsukijiError: why the conversion failed.
    """
    events.send(Phase(name="loading"))
    conversion = read_request(folder)
    images, compared_on = choose_images(conversion)
    write = writer_of(conversion.format)
    control.check()
    events.send(Phase(name="exporting"))
    facts = write(conversion.package, target_of(folder, conversion), images)
    control.check()
    write_facts(folder, facts | {"compared_on": compared_on})


def choose_images(conversion: Conversion) -> tuple[list[Image.Image], str]:
    """Return pictures to compare on, and their kind: held-out ones, else the package's examples, else noise."""
    package.verify(conversion.package)
    side, limits = package.read_preprocess(conversion.package).size, DecodeLimits(**conversion.limits)
    if held_out := open_all(conversion.images, limits, side):
        return held_out, "held_out"
    files = [conversion.package / example.file for example in package.read_examples(conversion.package)]
    if examples := open_all(files, limits, side):
        return examples, "examples"
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (NOISE_IMAGES, side, side, 3), np.uint8)
    return [Image.fromarray(pixels) for pixels in noise], "noise"


def open_all(files: list[Path], limits: DecodeLimits, side: int) -> list[Image.Image]:
    """Return the pictures that can be opened; a damaged one does not prevent an export."""
    images = []
    for file in files:
        try:
            images.append(decode(file.read_bytes(), limits, target_side=side))
        except (ImageError, OSError) as error:
            sys.stderr.write(f"{file.name}: {error}\n")
    return images


def writer_of(wanted: ExportFormat) -> Write:
    """Import only what this format needs."""
    if wanted == "onnx":
        return export_onnx
    from training.pickles import export_learner  # noqa: PLC0415 - fastai takes seconds, and ONNX does not need it

    return export_learner


if __name__ == "__main__":
    sys.exit(program.run(convert))
