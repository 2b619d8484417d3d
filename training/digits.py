"""Real pictures without the internet: scikit-learn's 1,797 handwritten digits as PNG files in class folders.

Usage: `python -m training.digits FOLDER`. The pictures are those of the UCI data set "Optical Recognition of
Handwritten Digits" (Alpaydin and Kaynak, 1998), 8 x 8 pixels in 17 greys, enlarged so that people can look at them.
"""

import sys
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

SIDE: Final = 32
WHITE: Final = 16
"""The lightest grey in scikit-learn's copy."""


def write_digits(folder: Path) -> int:
    """Write `FOLDER/<digit>/<number>.png`, RGB, 32 pixels a side; return how many."""
    digits = load_digits()
    for number, (pixels, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(digit) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray(np.rint(pixels * (255 / WHITE)).astype(np.uint8))
        grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)
    return len(digits.images)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m training.digits FOLDER")
    sys.stderr.write(f"{write_digits(Path(sys.argv[1]))} pictures\n")
