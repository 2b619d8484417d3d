"""`python -m tsukiji.vision.terminal_images FILE...`: shows small pictures side by side in a 24-bit colour terminal.

A character cell is twice as high as wide, so a half block with foreground and background colours shows two pixels. A
program of its own, because the command line, which calls it, does not import Pillow.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

SIDE: Final = 24
"""Characters across each picture, and pixels on each side."""
GAP: Final = "  "
UPPER: Final = "▀"
RESET: Final = "\x1b[0m"

Pixel = list[int]


def draw(pictures: Sequence[Image.Image]) -> str:
    """Return pictures side by side as coloured lines of text, each in a square of `SIDE` characters."""
    rows = [lines_of(picture) for picture in pictures]
    return "\n".join(GAP.join(parts) for parts in zip(*rows, strict=True))


def lines_of(picture: Image.Image) -> list[str]:
    square = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    rows: list[list[Pixel]] = np.asarray(square).tolist()
    return [_line(upper, lower) for upper, lower in zip(rows[::2], rows[1::2], strict=True)]


def _line(upper: Sequence[Pixel], lower: Sequence[Pixel]) -> str:
    cells = (
        f"\x1b[38;2;{_colour(above)};48;2;{_colour(below)}m{UPPER}" for above, below in zip(upper, lower, strict=True)
    )
    return "".join(cells) + RESET


def _colour(pixel: Pixel) -> str:
    return ";".join(map(str, pixel))


if __name__ == "__main__":
    sys.stdout.write(draw([Image.open(Path(name)) for name in sys.argv[1:]]) + "\n")
