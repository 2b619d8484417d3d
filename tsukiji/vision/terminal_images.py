"""`python -m tsukiji.vision.terminal_images [--as PROTOCOL] FILE...`: small pictures side by side in a terminal.

Each takes a square of `SIDE` characters, two of them as high as four wide. As `blocks` a half block in one colour upon
another shows two pixels, which needs 24-bit colour; `kitty`, `iterm` and `sixel` are protocols for real pictures. A
program of its own, because the command line, which calls it, imports no Pillow.
"""

import argparse
import base64
import io
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

SIDE: Final = 24
"""Characters across each picture, and pixels on each of its sides as half blocks."""
GAP: Final = 2
UPPER: Final = "▀"
RESET: Final = "\x1b[0m"
CELL_PIXELS: Final = 10
"""How wide a character is taken to be; it is twice as high."""
KITTY_BYTES: Final = 4096
"""The most that the kitty protocol takes at once."""
SIXEL_COLOURS: Final = 128

Pixel = list[int]


def draw(pictures: Sequence[Image.Image]) -> str:
    """Return pictures as lines of text with colours, next to each other."""
    rows = [lines_of(picture) for picture in pictures]
    return "\n".join((" " * GAP).join(parts) for parts in zip(*rows, strict=True))


def lines_of(picture: Image.Image) -> list[str]:
    rows: list[list[Pixel]] = np.asarray(square(picture, SIDE)).tolist()
    return [_line(upper, lower) for upper, lower in zip(rows[::2], rows[1::2], strict=True)]


def square(picture: Image.Image, side: int) -> Image.Image:
    return picture.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)


def _line(upper: Sequence[Pixel], lower: Sequence[Pixel]) -> str:
    cells = (
        f"\x1b[38;2;{_colour(above)};48;2;{_colour(below)}m{UPPER}" for above, below in zip(upper, lower, strict=True)
    )
    return "".join(cells) + RESET


def _colour(pixel: Pixel) -> str:
    return ";".join(map(str, pixel))


def in_a_row(pictures: Sequence[Image.Image]) -> Image.Image:
    """Return one picture of all, with transparent gaps, for terminals that show pictures."""
    side, gap = SIDE * CELL_PIXELS, GAP * CELL_PIXELS
    row = Image.new("RGBA", (len(pictures) * (side + gap) - gap, side))
    for index, picture in enumerate(pictures):
        row.paste(square(picture, side), (index * (side + gap), 0))
    return row


def kitty(pictures: Sequence[Image.Image]) -> str:
    """Write the graphics protocol of kitty (sw.kovidgoyal.net/kitty/graphics-protocol): PNG in portions."""
    row = in_a_row(pictures)
    data = base64.b64encode(_png(row)).decode()
    portions = [data[start : start + KITTY_BYTES] for start in range(0, len(data), KITTY_BYTES)]
    first = f"a=T,f=100,c={row.width // CELL_PIXELS},r={SIDE // 2},"
    return "".join(
        f"\x1b_G{'' if index else first}m={int(index < len(portions) - 1)};{portion}\x1b\\"
        for index, portion in enumerate(portions)
    )


def iterm(pictures: Sequence[Image.Image]) -> str:
    """Write the inline images of iTerm2 (iterm2.com/documentation-images.html)."""
    row = in_a_row(pictures)
    place = f"width={row.width // CELL_PIXELS};height={SIDE // 2};preserveAspectRatio=0"
    return f"\x1b]1337;File=inline=1;{place}:{base64.b64encode(_png(row)).decode()}\x07"


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def sixel(pictures: Sequence[Image.Image]) -> str:
    """Write sixels (DEC VT330/VT340 Programmer Reference, chapter 14): bands of six rows, a colour after another."""
    row = in_a_row(pictures)
    seen = np.asarray(row.getchannel("A")) > 0
    indexed = row.convert("RGB").quantize(SIXEL_COLOURS)
    palette = np.asarray(indexed.getpalette()).reshape(-1, 3) * 100 // 255
    pixels = np.where(seen, np.asarray(indexed), -1)
    used = [int(colour) for colour in np.unique(pixels) if colour >= 0]
    colours = "".join(f"#{colour};2;{';'.join(map(str, palette[colour].tolist()))}" for colour in used)
    bands = [pixels[top : top + 6] for top in range(0, row.height, 6)]
    return f'\x1bP0;1q"1;1;{row.width};{row.height}{colours}{"-".join(map(_band, bands))}\x1b\\'


def _band(rows: "np.ndarray[tuple[int, int], np.dtype[np.int64]]") -> str:
    bits = 1 << np.arange(len(rows))[:, None]
    found = []
    for colour in np.unique(rows):
        if colour >= 0:
            codes = ((rows == colour) * bits).sum(axis=0) + ord("?")
            found.append(f"#{colour}{_packed(codes.tolist())}")
    return "$".join(found)


def _packed(codes: Sequence[int]) -> str:
    """Write runs of one character as their length and it."""
    runs = ((chr(code), len(list(run))) for code, run in groupby(codes))
    return "".join(f"!{length}{char}" if length > 3 else char * length for char, length in runs)


PROTOCOLS: Final[dict[str, Callable[[Sequence[Image.Image]], str]]] = {
    "blocks": draw,
    "kitty": kitty,
    "iterm": iterm,
    "sixel": sixel,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="tsukiji.vision.terminal_images")
    parser.add_argument("--as", dest="protocol", choices=PROTOCOLS, default="blocks")
    parser.add_argument("files", nargs="+", type=Path)
    given = parser.parse_args()
    sys.stdout.write(PROTOCOLS[given.protocol]([Image.open(file) for file in given.files]) + "\n")


if __name__ == "__main__":
    main()
