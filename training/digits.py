"""Real pictures without internet access: scikit-learn's 1,797 handwritten digits as PNG files in class folders.

Usage: `python -m training.digits FOLDER`. The pictures are those of the UCI data set "Optical Recognition of
Handwritten Digits" (Alpaydin and Kaynak, 1998), 8 x 8 pixels in 17 greys, enlarged so that people can look at them.
"""

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

Floats = NDArray[np.float64]
SIDE: Final = 32
WHITE: Final = 16
"""The lightest grey in scikit-learn's copy."""


def digits() -> Iterator[tuple[str, Floats]]:
    """Yield `<digit>/<number>.png` and the 8 x 8 greys of each, 0 to `WHITE`."""
    found = load_digits()
    for number, (greys, digit) in enumerate(zip(found.images, found.target, strict=True)):
        yield f"{digit}/{number:04}.png", greys


def draw(greys: Floats) -> bytes:
    """Return a PNG of 32 pixels a side."""
    picture = Image.fromarray(np.rint(greys * (255 / WHITE)).astype(np.uint8))
    buffer = BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def write_digits(folder: Path) -> int:
    """Write `FOLDER/<digit>/<number>.png`; return how many."""
    count = 0
    for count, (name, greys) in enumerate(digits(), 1):  # noqa: B007 - the last number is the answer
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw(greys))
    return count


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m training.digits FOLDER")
    sys.stderr.write(f"{write_digits(Path(sys.argv[1]))} pictures\n")
