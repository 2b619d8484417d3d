"""Parsed files to pictures of 8 bits, in any of Pillow's modes, with Pillow's readers.

Classifies errors of unreadable pictures: `truncated` only if pixels are missing. Knows no limits.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from typing import Any, Final

import numpy as np
from PIL import Image, ImageChops
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from tsukiji.errors import ImageDamaged, ImageError, ImageTooManyPixels, ImageTruncated, UnsupportedFormat
from tsukiji.vision.decoding.containers import avif, bmp, gif, jpeg, png, tiff, webp
from tsukiji.vision.decoding.containers.contents import Contents
from tsukiji.vision.decoding.depth import narrow, narrow_bands

CONTAINERS: Final[dict[type[ImageFile], Callable[[bytes], Contents]]] = {
    JpegImageFile: jpeg.read,
    PngImageFile: png.read,
    WebPImageFile: webp.read,
    AvifImageFile: avif.read,
    GifImageFile: gif.read,
    BmpImageFile: bmp.read,
    TiffImageFile: tiff.read,
}
SIXTEEN: Final = re.compile(r";16[BLN]$")
OTHER_BYTE: Final = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""Pillow keeps the high byte of 16 bits. Read in the other byte order, the same data give the low one."""
UNKNOWN: Final = re.compile(r"unsupported|unknown|not yet supported|cannot handle|^\d+$", re.IGNORECASE)
"""Pillow's messages about intact files of an unsupported kind."""
MIDDLE: Final = frozenset({128, (128, 128, 128), (127, 127, 127, 127), (128, 128, 128, 127)})
"""What a JPEG decoder fills missing pixels with."""


def contents_of(reader: type[ImageFile], data: bytes) -> Contents:
    """Parse a file.

    Raises:
        ImageError
    """
    try:
        return CONTAINERS[reader](data)
    except (IndexError, ValueError, OverflowError) as error:  # a truncated header
        raise ImageDamaged(f"The file's structure is invalid: {error}") from error


def open_image(reader: type[ImageFile], contents: Contents) -> ImageFile:
    """Return Pillow's picture with only the header read.

    Raises:
        ImageTruncated, ImageDamaged, UnsupportedFormat, ImageTooManyPixels
    """
    try:
        with bombs_named():
            image = reader(BytesIO(contents.data))
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        if contents.cut:
            raise ImageTruncated(f"The file ends too early: {error}") from error
        if UNKNOWN.search(str(error)):
            detail = f"{reader.format} of this kind is not supported: {error}."
            raise UnsupportedFormat(detail, format=f"{reader.format} of this kind") from error
        raise ImageDamaged(f"The file's header cannot be read: {error}") from error
    if isinstance(image, TiffImageFile):
        _mend_planes(image)
    elif isinstance(image, JpegImageFile):
        image.decodermaxblock = len(contents.data)  # in one piece: the decoder restarts whenever it has to wait
    return image


def load(reader: type[ImageFile], contents: Contents, divisor: int = 1) -> Image.Image:
    """Return the stored picture with 8 bits in one of Pillow's modes; a JPEG reduced by the divisor.

    Raises:
        ImageError
    """
    image = open_image(reader, contents)
    with lack_named(), bombs_named():
        if isinstance(image, JpegImageFile):
            return _load_jpeg(image, contents, divisor)
        tiles = [tile.args for tile in image.tile]
        image.load()
        if isinstance(image, PngImageFile) and _may_lack_rows(image) and png.lacks_rows(contents.data):
            raise ImageTruncated("The pixels end before the last row.")
        return _to_8_bits(image, tiles, reader, contents)


def _may_lack_rows(image: ImageFile) -> bool:
    """Pillow leaves rows empty if the packed pixels end early; every second row, if interlaced."""
    below = range(max(0, image.height - 2), image.height)
    return any(image.crop((0, row, image.width, row + 1)).getbbox(alpha_only=False) is None for row in below)


# --- JPEG ------------------------------------------------------------------------------------------------------------


def _load_jpeg(image: JpegImageFile, contents: Contents, divisor: int) -> Image.Image:
    def read(data: bytes) -> JpegImageFile:
        again = open_image(JpegImageFile, replace(contents, data=data))
        assert isinstance(again, JpegImageFile)
        _draft(again, divisor)
        again.load()
        return again

    _draft(image, divisor)
    try:
        image.load()
    except OSError:
        pass
    else:
        if image.getpixel((image.width - 1, image.height - 1)) not in MIDDLE:
            return image
    # The end marker is missing or early, and the decoder made up the rest. If all pixels are there, the data after
    # them make no difference.
    ends = jpeg.ended(contents.data)
    plainly, otherwise = (read(data) for data in ends)
    if ImageChops.difference(plainly, otherwise).getbbox():
        raise ImageTruncated("The file ends before its last pixels.")
    return plainly


def _draft(image: JpegImageFile, divisor: int) -> None:
    if divisor > 1:
        image.draft(None, (image.width // divisor, image.height // divisor))


# --- more than 8 bits ------------------------------------------------------------------------------------------------


def _to_8_bits(image: ImageFile, tiles: Sequence[Any], reader: type[ImageFile], contents: Contents) -> Image.Image:
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return _one_band(image, contents)
    if contents.other_sign and image.mode == "L":
        return Image.fromarray(narrow(np.asarray(image).view(np.int8).astype(np.int16)))
    raws = [_raw_of(args) for args in tiles]
    if not any(SIXTEEN.search(raw) for raw in raws):
        return image

    def read(turn: Callable[[str], str]) -> Image.Image:
        again = open_image(reader, contents)
        again.tile = [tile._replace(args=_with_raw(tile.args, turn(_raw_of(tile.args)))) for tile in again.tile]
        again.load()
        return again

    if raws[0].startswith("LA"):
        return narrow_bands(image, lambda: _low_of_grey(read(lambda _: "RGBA")), 3)
    if raws[0].startswith("RGBa"):
        return _multiplied(image, read)
    if raws == ["RGB;16N"] and getattr(image, "tag_v2", {}).get(tiff.PLANES) == 2:
        return narrow_bands(image, _refuse_planes, 3)
    if "transparency" in image.info:
        return _keyed(image, read(_other_byte))
    return narrow_bands(image, lambda: read(_other_byte), 4 if image.mode == "CMYK" else 3)


def _refuse_planes() -> Image.Image:
    detail = "TIFF with compressed 16-bit planes that use only the lower bits is not supported."
    raise UnsupportedFormat(detail, format="TIFF with compressed planes")


def _one_band(image: ImageFile, contents: Contents) -> Image.Image:
    values = np.asarray(image)
    if contents.other_sign and image.mode == "I":
        values = values.view(np.uint32)
    found = Image.fromarray(narrow(values))
    if contents.inverted:
        found = ImageChops.invert(found)
    key = image.info.get("transparency")
    if isinstance(key, int):
        found.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return found


def _low_of_grey(pairs: Image.Image) -> Image.Image:
    """Return the low bytes of grey and opacity, as RGBA, from both bytes of both."""
    _, grey, _, opacity = pairs.split()
    return Image.merge("RGBA", (grey, grey, grey, opacity))


def _multiplied(image: ImageFile, read: Callable[[Callable[[str], str]], Image.Image]) -> Image.Image:
    """Return a picture with premultiplied colours: the bit depth is that of all channels before division."""
    high = read(lambda raw: raw.replace("RGBa", "RGBA"))
    joined = narrow_bands(high, lambda: read(lambda raw: _other_byte(raw.replace("RGBa", "RGBA"))), 4)
    return image if joined is high else Image.merge("RGBa", joined.split()).convert("RGBA")


def _keyed(high: ImageFile, low: Image.Image) -> Image.Image:
    """Return a picture with one transparent 16-bit colour."""
    values = np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)
    opacity = np.where((values == np.array(high.info["transparency"])).all(axis=2), 0, 255).astype(np.uint8)
    found = narrow_bands(high, lambda: low, 3).copy()
    found.info = {}
    found.putalpha(Image.fromarray(opacity))
    return found


def _mend_planes(image: TiffImageFile) -> None:
    """Pillow reads uncompressed 16-bit planes, one per colour, as if they had 8 bits."""
    if image.tag_v2.get(tiff.PLANES) == 2 and set(image.tag_v2.get(tiff.BITS, ())) == {16}:
        order = "L" if image.tag_v2.prefix == b"II" else "B"
        image.tile = [
            tile._replace(args=_with_raw(tile.args, f"{_raw_of(tile.args)};16{order}"))
            if len(_raw_of(tile.args)) == 1
            else tile
            for tile in image.tile
        ]


def _raw_of(args: Any) -> str:
    return str(args[0] if isinstance(args, tuple) else args)


def _with_raw(args: Any, raw: str) -> Any:
    return (raw, *args[1:]) if isinstance(args, tuple) else raw


def _other_byte(raw: str) -> str:
    return raw[:-1] + OTHER_BYTE[raw[-1]]


# --- errors ----------------------------------------------------------------------------------------------------------


@contextmanager
def lack_named() -> Iterator[None]:
    """Turn the many exceptions of Pillow's decoders into one meaning."""
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        raise ImageTruncated(f"The picture could not be read completely: {error}") from error


@contextmanager
def bombs_named() -> Iterator[None]:
    try:
        yield
    except Image.DecompressionBombError as error:
        raise ImageTooManyPixels(str(error)) from error
