"""Pictures with more than 8 bits per value to 8: by the bits in use, or by the range of values.

Many "16-bit" pictures come from sensors and scanners with 10, 12 or 14, and 32 bits may hold anything. Files seldom
say which; the values do.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from tsukiji.errors import ImageNotFinite

BITS: Final = (8, 10, 12, 14, 16, 24, 31, 32)
"""Bit depths of sensors and files."""
FULL_SCALES: Final = (1.0, *(2.0**bits - 1 for bits in BITS))
"""Full scales of non-integer values."""
LEAST_SHARE: Final = 4
"""A full scale is assumed only if the brightest value is at least a quarter of it."""
FULL_HIGH_BYTE: Final = 2**6
"""A high byte this large means 16 bits."""
STRIP: Final = 2**20
"""Values converted at a time."""

Values = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


def narrow(values: Values) -> Bytes:
    """Return values (H, W), integer or float, as 8 bits.

    Integers lose the unused low bits, counted from the lowest value if that is negative. Floats use the smallest usual
    full scale that holds them. Values that fit none are stretched from the lowest to the highest.

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
    """Return by how many bits to shift integers to the right; None if they use no common bit depth."""
    if (
        values.dtype.itemsize == 2
        and 0 <= low <= high < 2**14
        and (low == high or all(fills(part) for part in strips(values)))
    ):
        return 8  # a single value, which fits any depth, or 8 bits scaled up
    used = high - min(low, 0)
    bits = next(bits for bits in BITS if used < 2**bits)
    return bits - 8 if spans(2**bits, low, high) else None


def spans(full: float, low: float, high: float) -> bool:
    """Return whether values have this full scale; beyond sensors' depths, only if they also spread over it."""
    used = high - min(low, 0) if full <= 2**16 else high - low
    return used * LEAST_SHARE >= full


def fills(values: Values) -> bool:
    """Return whether these are 8 bits scaled to 16, by a shift or by repeating each byte."""
    low = values & 0xFF
    return bool(((low == 0) | (low == values >> 8)).all())


def convert(values: Values, rule: Callable[[Values], Values]) -> Bytes:
    found = np.empty(values.shape, np.uint8)
    for into, part in zip(strips(found), strips(values), strict=True):
        into[...] = rule(part)
    return found


def strips(values: Values) -> Iterator[Values]:
    """Yield views of some rows each, to keep temporaries small."""
    rows = max(1, STRIP // max(1, values.shape[1]))
    for start in range(0, len(values), rows):
        yield values[start : start + rows]


# --- several bands, for which Pillow gives one byte at a time --------------------------------------------------------


def narrow_bands(high: Image.Image, read_low: Callable[[], Image.Image], bands: int) -> Image.Image:
    """Return 8 bits of a 16-bit picture, for which Pillow gives the high bytes.

    The low bytes are read only if needed: if no high byte of the first `bands` bands, the colours, shows that all 16
    bits are used. Opacity has a bit depth of its own.
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
    """Return whether these are 8 bits scaled to 16, by a shift or by repeating each byte."""
    return not any(low.getbbox() for _, low in parts) or not any(
        ImageChops.difference(*part).getbbox() for part in parts
    )


def shift_of_bytes(high: int, low: int) -> int:
    """Return by how many bits to shift values to the right; negative: to the left."""
    if high:
        return next(bits for bits in BITS if high < 2 ** (bits - 8)) - 8
    return min(0, low.bit_length() - 8) if low < 2**8 // LEAST_SHARE else 0


def join(high: Image.Image, low: Image.Image, shift: int) -> Image.Image:
    upper = high.point([min(255, value << 8 >> shift) if shift >= 0 else 0 for value in range(256)])
    lower = low.point([value >> shift if shift >= 0 else min(255, value << -shift) for value in range(256)])
    return ImageChops.add(upper, lower)
