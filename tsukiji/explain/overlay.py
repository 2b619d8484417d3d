"""Draws a heatmap over its picture, as a PNG. Knows no network, so the API can use it."""

from collections.abc import Sequence
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image

LONGEST_SIDE: Final = 1024
OPACITY: Final = 0.6
COLOURS: Final = np.array([[0, 0, 96], [0, 96, 224], [64, 200, 160], [248, 208, 32], [208, 16, 16]], np.float32)
"""From cold to warm, evenly spaced."""


def draw_heatmap(
    picture: Image.Image, size: tuple[int, int], values: Sequence[Sequence[float]], box: tuple[int, int, int, int]
) -> bytes:
    """Return the picture as a PNG, scaled down if large, with the heatmap over its box.

    Args:
        picture: RGB; it may have been decoded at a reduced size.
        size: the picture's full width and height, which the box refers to.
        values: rows of numbers, 0 to 1.
        box: left, upper, right, lower; parts outside the picture are cut off.
    """
    shown = picture.copy()
    shown.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    across, down = shown.width / size[0], shown.height / size[1]
    left, upper = round(box[0] * across), round(box[1] * down)
    right, lower = max(left + 1, round(box[2] * across)), max(upper + 1, round(box[3] * down))
    grid = Image.fromarray(np.asarray(values, np.float32))
    heat = np.asarray(grid.resize((right - left, lower - upper), Image.Resampling.BILINEAR)).clip(0, 1)
    places = np.linspace(0, 1, len(COLOURS))
    colours = np.stack([np.interp(heat, places, COLOURS[:, channel]) for channel in range(3)], axis=2)
    layer = Image.fromarray(colours.astype(np.uint8))
    shown.paste(layer, (left, upper), Image.fromarray((heat * OPACITY * 255).astype(np.uint8)))
    buffer = BytesIO()
    shown.save(buffer, "PNG")
    return buffer.getvalue()
