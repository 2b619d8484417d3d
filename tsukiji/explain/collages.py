"""Collages of single-label pictures with their boxes, for fitting and evaluating the window reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from tsukiji.types import Box

SIDES: Final = ((480, 480), (560, 420), (420, 560))
PICTURES: Final = (2, 3, 4)
PARTS: Final = (0.38, 0.62)
"""The side of each picture, relative to the collage's shorter side."""
TRIES: Final = 60
SHUFFLED_SIDE: Final = 240
SHUFFLED_PARTS: Final = 4
"""Divisions of each side when shuffling."""


@dataclass(frozen=True)
class Collage:
    """Pictures side by side on a plain or picture background.

    Attributes:
        image: RGB.
        things: the number of each picture among those given, and its box in pixels.
    """

    image: Image.Image
    things: list[tuple[int, Box]]


def make_collage(
    pictures: Sequence[Image.Image], random: np.random.Generator, ground: Image.Image | None = None
) -> Collage:
    """Place two to four of these RGB pictures without overlap; without a `ground` the background is plain."""
    width, height = SIDES[random.integers(len(SIDES))]
    if ground is None:
        image = Image.new("RGB", (width, height), tuple(random.integers(0, 256, 3).tolist()))
    else:
        image = ImageOps.fit(ground, (width, height))
    boxes = place(int(random.choice(PICTURES)), width, height, random)
    things = []
    for box in boxes:
        number = int(random.integers(len(pictures)))
        image.paste(ImageOps.fit(pictures[number], (box[2] - box[0], box[3] - box[1])), box[:2])
        things.append((number, box))
    return Collage(image, things)


def place(count: int, width: int, height: int, random: np.random.Generator) -> list[Box]:
    """Return up to `count` boxes that do not overlap; fewer if they do not fit, at least one."""
    boxes: list[Box] = []
    for _ in range(count * TRIES):
        side, ratio = random.uniform(*PARTS) * min(width, height), random.uniform(0.8, 1.25) ** 0.5
        across, down = round(side * ratio), round(side / ratio)
        left, upper = int(random.integers(width - across + 1)), int(random.integers(height - down + 1))
        box = left, upper, left + across, upper + down
        if all(box[2] <= other[0] or other[2] <= box[0] or box[3] <= other[1] or other[3] <= box[1] for other in boxes):
            boxes.append(box)
        if len(boxes) == count:
            break
    return boxes


def shuffled(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return a picture of the same colours and textures that shows nothing: its parts are permuted."""
    side = SHUFFLED_SIDE // SHUFFLED_PARTS
    pixels = np.asarray(ImageOps.fit(image, (SHUFFLED_SIDE, SHUFFLED_SIDE)))
    parts = pixels.reshape(SHUFFLED_PARTS, side, SHUFFLED_PARTS, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    mixed = random.permutation(parts).reshape(SHUFFLED_PARTS, SHUFFLED_PARTS, side, side, 3)
    return Image.fromarray(mixed.swapaxes(1, 2).reshape(pixels.shape))
