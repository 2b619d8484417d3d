"""Bytes to an upright RGB picture within limits, or an error. Knows no file, no network and no model.

Import, training and inference all read pictures here, so they see the same pixels. Thread-safe.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Final, Self

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from tsukiji.errors import ImageBadDimensions, ImageTooManyBytes, ImageTooManyPixels
from tsukiji.kernel.settings import LimitSettings
from tsukiji.vision.decoding import pixels, sandbox
from tsukiji.vision.decoding.budget import BUDGET, LARGE, give_back
from tsukiji.vision.decoding.colour import to_rgb
from tsukiji.vision.decoding.containers.contents import Contents
from tsukiji.vision.decoding.formats import LEADING, sniff
from tsukiji.vision.miniature import miniature_of
from tsukiji.vision.phash import phash

# Pillow warns about oddities inside pictures (a truncated tag), which would only fill the log; real faults are errors.
# Set once, at import: switching filters around each call would race between threads.
warnings.filterwarnings("ignore", module=r"PIL\.")

Box = tuple[int, int, int, int]
"""Left, upper, right, lower, in pixels of the upright picture at full resolution."""

UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that undoes each EXIF orientation."""

SIDEWAYS: Final = frozenset({5, 6, 7, 8})
"""Orientations that swap width and height."""

_DEFAULTS: Final = LimitSettings.model_construct()


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Limits on a picture, checked before any pixel is decoded, and on all concurrent decoding."""

    max_bytes: int = _DEFAULTS.image_bytes
    max_pixels: int = _DEFAULTS.image_pixels
    max_side: int = _DEFAULTS.image_side
    min_side: int = _DEFAULTS.image_min_side
    decoding_mb: int = _DEFAULTS.decoding_mb
    """Megabytes for all pictures that this process decodes at the same time."""

    @classmethod
    def of(cls, limits: LimitSettings) -> Self:
        return cls(
            limits.image_bytes, limits.image_pixels, limits.image_side, limits.image_min_side, limits.decoding_mb
        )


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Properties of a picture: format as Pillow names it, upright size in pixels, whether it has more frames."""

    format: str
    width: int
    height: int
    animated: bool
    phash: str
    """Perceptual hash, see `tsukiji.vision.phash`."""
    miniature: bytes
    """See `tsukiji.vision.miniature`."""


DEFAULT_LIMITS: Final = DecodeLimits()


@dataclass(frozen=True, slots=True)
class _File:
    """A parsed file within the limits."""

    reader: type[ImageFile]
    contents: Contents

    @property
    def size(self) -> tuple[int, int]:
        """Upright width and height."""
        width, height = self.contents.width, self.contents.height
        return (height, width) if self.contents.orientation in SIDEWAYS else (width, height)


def decode(
    data: bytes, limits: DecodeLimits = DEFAULT_LIMITS, *, crop: Box | None = None, target_side: int | None = None
) -> Image.Image:
    """Return the picture as upright RGB, transparency on white, first frame only.

    Args:
        data: a whole file.
        limits: of the picture.
        crop: return only this box.
        target_side: the side that the picture will be scaled down to. A large JPEG is then decoded at a half, a quarter
            or an eighth, as long as its shortest side (the crop's, if there is one) keeps double this.

    Raises:
        ImageError: a subclass says what is wrong; no other exception is raised.
    """
    file = _look(data, limits)
    divisor = _divisor(file, crop, target_side)
    with BUDGET.take(_memory(file.contents, divisor), limits.decoding_mb * 2**20):
        return _render(file, divisor, crop)


@contextmanager
def decoded(
    data: bytes, limits: DecodeLimits = DEFAULT_LIMITS, *, crop: Box | None = None, target_side: int | None = None
) -> Iterator[Image.Image]:
    """Yield what `decode` returns, and close it at the end of the block.

    Its memory counts until then. Decode no other picture meanwhile: that could deadlock on the budget.

    Raises:
        ImageError: as `decode`.
    """
    with _rendered(_look(data, limits), limits, crop, target_side) as picture:
        yield picture


def probe(data: bytes, limits: DecodeLimits = DEFAULT_LIMITS) -> ImageFacts:
    """Return the picture's properties after decoding it completely, so that what is accepted can be used later.

    Raises:
        ImageError: as `decode`.
    """
    file = _look(data, limits)
    with _rendered(file, limits) as picture:
        looks = phash(picture), miniature_of(picture)
    return ImageFacts(file.reader.format or "", *file.size, file.contents.animated, *looks)


def measure(data: bytes, limits: DecodeLimits = DEFAULT_LIMITS) -> tuple[int, int]:
    """Return the upright width and height in pixels, from the header alone.

    Raises:
        ImageError: as `decode`, if found in the header.
    """
    return _look(data, limits).size


def thumbnail(data: bytes, side: int = 192, limits: DecodeLimits = DEFAULT_LIMITS, *, crop: Box | None = None) -> bytes:
    """Return a WebP without metadata whose longest side is at most `side` pixels.

    Raises:
        ImageError: as `decode`.
    """
    with decoded(data, limits, crop=crop, target_side=side) as picture:
        picture.thumbnail((side, side))
        buffer = BytesIO()
        picture.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


def _look(data: bytes, limits: DecodeLimits) -> _File:
    """Parse the file and check the limits; no pixel is decoded."""
    if len(data) > limits.max_bytes:
        raise ImageTooManyBytes(f"{len(data):,} bytes; at most {limits.max_bytes:,} are allowed.")
    reader = sniff(data)
    if leading := LEADING.match(data):
        data = data[leading.end() :]
    contents = pixels.contents_of(reader, data)
    if contents.apart:
        contents = sandbox.look(reader, contents)
    file = _File(reader, contents)
    _check_size(file.size, contents.largest, limits)
    return file


def _check_size(size: tuple[int, int], largest: int, limits: DecodeLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageTooManyPixels(
            f"{width} x {height} = {width * height:,} pixels; at most {limits.max_pixels:,} are allowed."
        )
    if max(size) > limits.max_side or min(size) < limits.min_side:
        raise ImageBadDimensions(
            f"{width} x {height} pixels; each side must have {limits.min_side} to {limits.max_side}."
        )
    if largest > limits.max_pixels:
        raise ImageTooManyPixels(
            f"It is stored in tiles of {largest:,} pixels; at most {limits.max_pixels:,} are allowed."
        )


@contextmanager
def _rendered(
    file: _File, limits: DecodeLimits, crop: Box | None = None, target_side: int | None = None
) -> Iterator[Image.Image]:
    divisor = _divisor(file, crop, target_side)
    memory = _memory(file.contents, divisor)
    try:
        with BUDGET.take(memory, limits.decoding_mb * 2**20):
            picture = _render(file, divisor, crop)
            try:
                yield picture
            finally:
                picture.close()  # now, although the caller still holds a reference
    finally:
        if memory >= LARGE:
            give_back()


def _divisor(file: _File, crop: Box | None, target_side: int | None) -> int:
    """Return by what a JPEG's sides can be divided while it is decoded."""
    if not target_side or file.reader is not JpegImageFile:
        return 1
    width, height = (crop[2] - crop[0], crop[3] - crop[1]) if crop else file.size
    return next((n for n in (8, 4, 2) if min(width, height) // n >= 2 * target_side), 1)


def _memory(contents: Contents, divisor: int) -> int:
    """Estimate the bytes needed to decode a picture and turn it upright."""
    return int(contents.largest * (contents.memory / divisor**2 + contents.full_memory))


def _render(file: _File, divisor: int, crop: Box | None) -> Image.Image:
    contents = file.contents
    stored = sandbox.load(file.reader, contents) if contents.apart else pixels.load(file.reader, contents, divisor)
    with pixels.lack_named():
        picture = to_rgb(stored)
    if picture is not stored:
        stored.close()  # frees its memory
    if (turn := UPRIGHT.get(contents.orientation)) is not None:
        picture = picture.transpose(turn)
    return picture if crop is None else _crop(picture, crop, file.size)


def _crop(picture: Image.Image, crop: Box, full: tuple[int, int]) -> Image.Image:
    left, upper, right, lower = crop
    if not (0 <= left < right <= full[0] and 0 <= upper < lower <= full[1]):
        raise ImageBadDimensions(
            f"The crop box {crop} is empty or extends beyond the picture of {full[0]} x {full[1]} pixels.",
            hint="Give left, upper, right, lower in pixels of the upright picture.",
        )
    across, down = picture.width / full[0], picture.height / full[1]
    return picture.crop((round(left * across), round(upper * down), round(right * across), round(lower * down)))
