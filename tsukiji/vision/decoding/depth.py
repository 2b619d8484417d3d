"""Pictures with values of more than 8 bits to 8: by the bits that are used, or by the range of their values.

Many pictures of "16 bits" come from sensors and scanners with 10, 12 or 14, and 32 bits may hold anything. Files seldom
say which; the values do.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from tsukiji.errors import ImageNotFinite

BITS: Final = (8, 10, 12, 14, 16, 24, 31, 32)
"""That values have: of sensors, and of files."""
FULL_SCALES: Final = (1.0, *(2.0**bits - 1 for bits in BITS))
"""Of values that are not whole."""
LEAST_SHARE: Final = 4
"""Brightest values below a fourth of a full scale are not of that scale."""
FULL_HIGH_BYTE: Final = 2**6
"""A high byte as large as this can only be of 16 bits."""
STRIP: Final = 2**20
"""Values that are converted at a time."""

Values = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


def narrow(values: Values) -> Bytes:
    """Return values (H, W), whole or not, as 8 bits.

    Whole ones lose the low bits of those that are used, counted from the lowest value where that is below 0. Others are
    of the smallest usual full scale that holds them. What is of none is stretched from the lowest to the highest.

    Raises:
        ImageNotFinite
    """
    whole = values.dtype.kind != "f"
    if not whole and not all(np.isfinite(part).all() for part in strips(values)):
        raise ImageNotFinite
    low, high = values.min().item(), values.max().item()
    if whole and (shift := shift_of(values, low, high)) is not None:
        if low >= 0:
            return convert(values, lambda part: part >> shift)
        return convert(values, lambda part: (part.astype(np.int64) - low) >> shift)
    full = 0.0 if whole or low < 0 else next((scale for scale in FULL_SCALES if high <= scale), 0.0)
    if full and spans(full, low, high):
        return convert(values, lambda part: part * (255.0 / full) + 0.5)
    factor = 255.0 / (high - low) if high > low else 0.0
    return convert(values, lambda part: (part.astype(np.float64) - low) * factor + 0.5)


def shift_of(values: Values, low: int, high: int) -> int | None:
    """Return by how many bits whole values are shifted to the right; None where no usual number of bits is used."""
    if (
        values.dtype.itemsize == 2
        and 0 <= low <= high < 2**14
        and (low == high or all(fills(part) for part in strips(values)))
    ):
        return 8  # one tone, which could be of any bits, or 8 bits that were spread
    used = high - min(low, 0)
    bits = next(bits for bits in BITS if used < 2**bits)
    return bits - 8 if spans(2**bits, low, high) else None


def spans(full: float, low: float, high: float) -> bool:
    """Are these values of this full scale? Of larger ones than sensors have, only if they are spread over it, too."""
    used = high - min(low, 0) if full <= 2**16 else high - low
    return used * LEAST_SHARE >= full


def fills(values: Values) -> bool:
    """Are these 8 bits that were spread over 16, by a shift or by saying each byte twice?"""
    low = values & 0xFF
    return bool(((low == 0) | (low == values >> 8)).all())


def convert(values: Values, rule: Callable[[Values], Values]) -> Bytes:
    found = np.empty(values.shape, np.uint8)
    for into, part in zip(strips(found), strips(values), strict=True):
        into[...] = rule(part)
    return found


def strips(values: Values) -> Iterator[Values]:
    """Yield views of some rows each, so that what is computed of them stays small."""
    rows = max(1, STRIP // max(1, values.shape[1]))
    for start in range(0, len(values), rows):
        yield values[start : start + rows]


# --- several bands, of which Pillow gives a byte at a time -----------------------------------------------------------


def narrow_bands(high: Image.Image, read_low: Callable[[], Image.Image], bands: int) -> Image.Image:
    """Return 8 bits of a picture's 16, of which Pillow gives the high bytes.

    The low bytes are read only where they matter: where no high byte among the first `bands` bands, the colours, says
    that 16 bits are used. An opacity that is left has its own bits.
    """
    if peak_of(high, bands) >= FULL_HIGH_BYTE:
        return high
    low = read_low()
    parts = list(zip(high.split(), low.split(), strict=True))
    if is_spread(parts[:bands]):
        return high
    shift = shift_of_bytes(peak_of(high, bands), peak_of(low, bands))
    found = [join(*part, shift) for part in parts[:bands]]
    for upper, lower in parts[bands:]:
        peak, beneath = peak_of(upper, 1), peak_of(lower, 1)
        found.append(upper if peak >= FULL_HIGH_BYTE else join(upper, lower, shift_of_bytes(peak, beneath)))
    return Image.merge(high.mode, found)


def peak_of(image: Image.Image, bands: int) -> int:
    extrema = image.getextrema()
    pairs = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return max(int(pair[1]) for pair in pairs[:bands])


def is_spread(parts: Sequence[tuple[Image.Image, Image.Image]]) -> bool:
    """Are these 8 bits that were spread over 16, by a shift or by saying each byte twice?"""
    return not any(low.getbbox() for _, low in parts) or not any(
        ImageChops.difference(*part).getbbox() for part in parts
    )


def shift_of_bytes(high: int, low: int) -> int:
    """Return by how many bits values are shifted to the right; below 0, to the left."""
    if high:
        return next(bits for bits in BITS if high < 2 ** (bits - 8)) - 8
    return min(0, low.bit_length() - 8) if low < 2**8 // LEAST_SHARE else 0


def join(high: Image.Image, low: Image.Image, shift: int) -> Image.Image:
    upper = high.point([min(255, value << 8 >> shift) if shift >= 0 else 0 for value in range(256)])
    lower = low.point([value >> shift if shift >= 0 else min(255, value << -shift) for value in range(256)])
    return ImageChops.add(upper, lower)
