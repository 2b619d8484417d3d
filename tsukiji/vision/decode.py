"""Bytes to an upright RGB picture, within limits, or the reason why not. Knows no file, no network and no model.

Intake, training and inference all read pictures here, so they see the same pixels. Thread-safe.
"""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Final, Self

from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from tsukiji.errors import (
    ImageBadDimensions,
    ImageError,
    ImageTooManyBytes,
    ImageTooManyPixels,
    ImageTruncated,
)
from tsukiji.settings import LimitSettings
from tsukiji.vision.colour import to_rgb
from tsukiji.vision.formats import sniff
from tsukiji.vision.miniature import miniature_of
from tsukiji.vision.phash import phash

# Pillow warns about oddities inside pictures (a tag cut short): no news for a log, and faults are errors here.
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
"""What undoes each EXIF orientation."""

SIDEWAYS: Final = frozenset({5, 6, 7, 8})
"""The orientations that exchange width and height."""

_DEFAULTS: Final = LimitSettings.model_construct()


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What a picture may measure; checked before any pixel is decoded."""

    max_bytes: int = _DEFAULTS.image_bytes
    max_pixels: int = _DEFAULTS.image_pixels
    max_side: int = _DEFAULTS.image_side
    min_side: int = _DEFAULTS.image_min_side

    @classmethod
    def of(cls, limits: LimitSettings) -> Self:
        return cls(limits.image_bytes, limits.image_pixels, limits.image_side, limits.image_min_side)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a picture is: its format in Pillow's words, its upright size in pixels, whether it has more frames."""

    format: str
    width: int
    height: int
    animated: bool
    phash: str
    """What it looks like, as `tsukiji.vision.phash` says it."""
    miniature: bytes
    """The same, as `tsukiji.vision.miniature` keeps it."""


DEFAULT_LIMITS: Final = DecodeLimits()


def decode(
    data: bytes, limits: DecodeLimits = DEFAULT_LIMITS, *, crop: Box | None = None, target_side: int | None = None
) -> Image.Image:
    """Return the picture as upright RGB, transparency on white, first frame only.

    Args:
        data: a whole file.
        limits: what the picture may measure.
        crop: keep this box only.
        target_side: the side that the picture will be scaled down to. A large JPEG is then decoded at a half, a quarter
            or an eighth, as long as its shortest side (the crop's, if there is one) keeps twice this.

    Raises:
        ImageError: a subclass says what is wrong; nothing else escapes.
    """
    image = _open(data, limits)
    full = image.size
    with _damage_named():
        if target_side and isinstance(image, JpegImageFile):
            _draft(image, crop, target_side)
        picture = _render(image)
        if crop is None:
            return picture
        return _crop(picture, crop, full[::-1] if _orientation(image) in SIDEWAYS else full)


def probe(data: bytes, limits: DecodeLimits = DEFAULT_LIMITS) -> ImageFacts:
    """Return what the picture is, having decoded all of it once, so that what is accepted here can be used later.

    Raises:
        ImageError: as `decode`.
    """
    image = _open(data, limits)
    with _damage_named():
        picture = _render(image)
        animated = bool(getattr(image, "is_animated", False))
    size = picture.size
    return ImageFacts(image.format or "", *size, animated, phash(picture), miniature_of(picture))


def measure(data: bytes, limits: DecodeLimits = DEFAULT_LIMITS) -> tuple[int, int]:
    """Return the upright width and height in pixels, from the header alone.

    Raises:
        ImageError: as `decode`, as far as the header tells.
    """
    image = _open(data, limits)
    return image.size[::-1] if _orientation(image) in SIDEWAYS else image.size


def thumbnail(data: bytes, side: int = 192, limits: DecodeLimits = DEFAULT_LIMITS) -> bytes:
    """Return a WebP without metadata whose longest side is at most `side` pixels.

    Raises:
        ImageError: as `decode`.
    """
    picture = decode(data, limits, target_side=side)
    picture.thumbnail((side, side))
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


def _open(data: bytes, limits: DecodeLimits) -> ImageFile:
    """Read the header only, and hold it against the limits.

    Not `Image.open`: that has a limit of its own, global to the process, which warns before ours is asked.
    """
    if len(data) > limits.max_bytes:
        raise ImageTooManyBytes(f"{len(data):,} bytes; at most {limits.max_bytes:,} are taken.")
    reader = sniff(data)
    with _damage_named():
        image = reader(BytesIO(data))
    _check_size(image.size, limits)
    return image


def _check_size(size: tuple[int, int], limits: DecodeLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageTooManyPixels(
            f"{width} x {height} = {width * height:,} pixels; at most {limits.max_pixels:,} are taken."
        )
    if max(size) > limits.max_side or min(size) < limits.min_side:
        raise ImageBadDimensions(
            f"{width} x {height} pixels; each side must have {limits.min_side} to {limits.max_side}."
        )


def _draft(image: JpegImageFile, crop: Box | None, target_side: int) -> None:
    width, height = (crop[2] - crop[0], crop[3] - crop[1]) if crop else image.size
    divisor = next((n for n in (8, 4, 2) if min(width, height) // n >= 2 * target_side), 1)
    image.draft(None, (image.width // divisor, image.height // divisor))


def _render(image: ImageFile) -> Image.Image:
    image.load()
    picture = to_rgb(image)
    turn = UPRIGHT.get(_orientation(image))
    return picture if turn is None else picture.transpose(turn)


def _orientation(image: ImageFile) -> int:
    """A TIFF's is 1 once its pixels are loaded: Pillow has turned it then."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error):
        return 1  # illegible notes do not spoil the picture


def _crop(picture: Image.Image, crop: Box, full: tuple[int, int]) -> Image.Image:
    left, upper, right, lower = crop
    if not (0 <= left < right <= full[0] and 0 <= upper < lower <= full[1]):
        raise ImageBadDimensions(
            f"The crop box {crop} is empty or leaves the picture of {full[0]} x {full[1]} pixels.",
            hint="Give left, upper, right, lower in pixels of the upright picture.",
        )
    across, down = picture.width / full[0], picture.height / full[1]
    return picture.crop((round(left * across), round(upper * down), round(right * across), round(lower * down)))


@contextmanager
def _damage_named() -> Iterator[None]:
    """Pillow's readers fail with whatever their parsing ran into; here that has one meaning."""
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooManyPixels(str(error)) from error
    except Exception as error:
        raise ImageTruncated(f"The picture could not be read to its end: {error}") from error
