"""Pictures as callers have them: paths, bytes, Pillow images, arrays. Imports neither Pillow nor numpy."""

import io
import os
import struct
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TypeGuard

COLOURS: Final = {1: 0, 3: 2, 4: 6}
"""Colour type of a PNG by the number of channels: grey, RGB, RGBA."""
PNG_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
SHAPES: Final = "height x width, or height x width x 1, 3 (RGB) or 4 (RGBA)"


class PillowImage(Protocol):
    """An image of Pillow."""

    @property
    def mode(self) -> str: ...

    def convert(self, mode: str | None = None) -> "PillowImage": ...

    def save(self, fp: Any, format: str | None = None) -> None: ...  # noqa: A002 - Pillow's name


class Array(Protocol):
    """A numpy array, or another that has its interface: uint8, height x width, or with 1, 3 or 4 channels."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    def tobytes(self) -> bytes: ...


Picture = str | os.PathLike[str] | bytes | PillowImage | Array
"""A path, the bytes of a picture file, an image of Pillow, or an array of uint8."""


def part(picture: Picture, number: int, stack: ExitStack) -> tuple[str, BinaryIO | bytes]:
    """Return a picture's name, and its file or bytes; files are open until `stack` is closed.

    Raises:
        TypeError, ValueError: it is nothing of this kind, or an array of another type or shape.
    """
    if isinstance(picture, (str, os.PathLike)):
        file = Path(picture)
        return file.name, stack.enter_context(file.open("rb"))
    return f"{number}", encoded(picture)


def read(picture: Picture, limit: int) -> bytes | None:
    """Return a picture's file as bytes; None if it is larger than `limit` bytes.

    Raises:
        OSError: it cannot be read.
    """
    if isinstance(picture, (str, os.PathLike)):
        file = Path(picture)
        return file.read_bytes() if file.stat().st_size <= limit else None
    return encoded(picture)


def encoded(picture: "bytes | PillowImage | Array") -> bytes:
    """Return a picture in memory as the bytes of a file, without loss."""
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return bytes(picture)
    if _is_pillow(picture):
        buffer = io.BytesIO()
        kept = picture if picture.mode in PNG_MODES else picture.convert("RGB")
        kept.save(buffer, format="PNG")
        return buffer.getvalue()
    if _is_array(picture):
        return png(picture)
    raise TypeError(f"a picture is a path, bytes, an image of Pillow or an array, not {type(picture).__name__}")


def _is_pillow(picture: object) -> TypeGuard[PillowImage]:
    return hasattr(picture, "save") and hasattr(picture, "mode")


def _is_array(picture: object) -> TypeGuard[Array]:
    return hasattr(picture, "__array_interface__")


def png(array: Array) -> bytes:
    """Encode an array of uint8 as PNG.

    Raises:
        TypeError: its numbers are of another type.
        ValueError: it has another shape.
    """
    kind, shape = array.__array_interface__["typestr"], array.shape
    if kind != "|u1":
        raise TypeError(f"the array is of {kind}; give uint8, 0 to 255, such as (255 * picture).astype('uint8')")
    if len(shape) not in {2, 3} or 0 in shape or (len(shape) == 3 and shape[2] not in COLOURS):
        raise ValueError(f"the array is {' x '.join(map(str, shape))}; give {SHAPES}")
    height, width = shape[:2]
    channels = shape[2] if len(shape) == 3 else 1
    data, stride = array.tobytes(), width * channels
    rows = b"".join(b"\0" + data[start : start + stride] for start in range(0, len(data), stride))
    header = struct.pack(">IIBBBBB", width, height, 8, COLOURS[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
