"""PNG: header, palette, transparency and pixels; of an animation, its static picture."""

import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import Final

from tsukiji.errors import ImageDamaged, ImageTruncated
from tsukiji.vision.decoding.containers.contents import MOST_PARTS, Contents, count_part
from tsukiji.vision.decoding.containers.exif import orientation_of

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
NAME: Final = re.compile(rb"[A-Za-z]{4}")
MOST_NOTE: Final = 2**20
"""Most bytes of metadata searched for an orientation."""
COLOURS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Channels by colour type."""
DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
TRANSPARENCY: Final = {0: (2,), 2: (6,), 3: range(1, 257)}
"""Allowed lengths of `tRNS`, by colour type."""
PASSES: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Interlace passes: left, upper, step across, step down."""
AT_ONCE: Final = 2**20
"""Bytes unpacked at a time."""
TEXTS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt"})
EXIF_TEXT, XMP_TEXT = b"Raw profile type exif", b"XML:com.adobe.xmp"


@dataclass
class Walk:
    """State of the parser."""

    header: bytes = b""
    kept: list[bytes] = field(default_factory=lambda: [SIGNATURE])
    pixels: bool = False
    cut: bool = False
    exif: bytes = b""
    raw_exif: bytes = b""
    xmp: bytes = b""
    noted: set[bytes] = field(default_factory=set)
    frames: int = 0
    first_is_frame: bool = False


def read(data: bytes) -> Contents:
    """Parse all chunks, up to the limit.

    Raises:
        ImageTruncated, ImageDamaged, ImageTooCostly
    """
    walk, at, parts = Walk(), len(SIGNATURE), 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if walk.pixels and name != b"IDAT" and (parts >= MOST_PARTS or not NAME.fullmatch(name)):
            break
        parts = count_part(parts)
        if not NAME.fullmatch(name):
            raise ImageDamaged(f"The file has no chunk where one should be, at byte {at:,}.")
        if name == b"IEND":
            break
        meet(walk, name, data, at, end)
        at = end
    if not walk.pixels:
        raise ImageTruncated("The file ends before its pixels begin.")
    width, height, depth, colour = struct.unpack_from(">IIBB", walk.header)
    return Contents(
        b"".join(walk.kept),
        width,
        height,
        orientation_of(walk.exif or walk.raw_exif, walk.xmp),
        animated=walk.frames + (not walk.first_is_frame) > 1 if walk.frames else False,
        cut=walk.cut,
        memory=16 if depth == 16 or colour in {4, 6} else 12,
    )


def meet(walk: Walk, name: bytes, data: bytes, at: int, end: int) -> None:
    """Handle a chunk: keep it if needed, and note what others say."""
    if not walk.header:
        if name != b"IHDR":
            raise ImageDamaged("The file does not begin with its header.")
        if end > len(data):
            raise ImageTruncated("The file ends within its header.")
        walk.header = data[at + 8 : end - 4]
        check_header(walk.header, sound=is_sound(data, at, end))
        walk.kept.append(data[at:end])
    elif name == b"IDAT":
        walk.kept.append(data[at:end])
        walk.pixels, walk.cut = True, end > len(data)
    elif not walk.pixels:
        meet_before(walk, name, data[at:end], sound=is_sound(data, at, end))
    elif is_sound(data, at, end):
        note(walk, name, data[at + 8 : end - 4])


def meet_before(walk: Walk, name: bytes, whole: bytes, *, sound: bool) -> None:
    """Keep the necessary chunks between header and pixels."""
    body = whole[8:-4]
    if name == b"PLTE":
        if not sound:
            raise ImageDamaged("The palette's checksum is wrong.")
        walk.kept.append(whole)
    elif name == b"tRNS":
        if sound and len(body) in TRANSPARENCY.get(walk.header[9], ()):
            walk.kept.append(whole)
    elif name == b"acTL":
        walk.frames = int.from_bytes(body[:4])
    elif name == b"fcTL":
        walk.first_is_frame = True
    elif sound:
        note(walk, name, body)


def check_header(body: bytes, *, sound: bool) -> None:
    if not sound or len(body) < 13:
        raise ImageDamaged("The header is too short, or its checksum is wrong.")
    depth, colour, compression, filtering, interlace = body[8:13]
    if depth not in DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise ImageDamaged(f"PNG has no colour type {colour} with {depth} bits.")


def is_sound(data: bytes, at: int, end: int) -> bool:
    """Return whether the chunk is complete and its checksum right."""
    return end <= len(data) and zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end])


def note(walk: Walk, name: bytes, body: bytes) -> None:
    """Keep metadata that may hold an orientation; malformed metadata is ignored."""
    if name == b"eXIf":
        walk.exif = body
    if name not in TEXTS:
        return
    key, _, rest = body.partition(b"\0")
    if key not in {b"exif", EXIF_TEXT, XMP_TEXT} - walk.noted:
        return
    walk.noted.add(key)  # unpacked once, even if repeated
    text = unpack(name, rest)
    if key == b"exif":
        walk.exif = text
    elif key == XMP_TEXT:
        walk.xmp = text
    else:
        try:
            walk.raw_exif = bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))
        except ValueError:
            return


def unpack(name: bytes, rest: bytes) -> bytes:
    """Unpack a text of at most `MOST_NOTE` bytes, given what follows its keyword."""
    packed = name == b"zTXt"
    if name == b"iTXt":
        packed, rest = rest[:1] != b"\0", rest[2:].split(b"\0", 2)[-1]
    elif packed:
        rest = rest[1:]
    if not packed:
        return rest[:MOST_NOTE]
    try:
        return zlib.decompressobj().decompress(rest, MOST_NOTE)
    except zlib.error:
        return b""


def lacks_rows(data: bytes) -> bool:
    """Return whether the pixels of a file from `read` unpack to fewer bytes than its rows need."""
    width, height, depth, colour = struct.unpack_from(">IIBB", data, len(SIGNATURE) + 8)
    interlaced, bits = data[len(SIGNATURE) + 20], depth * COLOURS[colour]
    sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in PASSES] if interlaced else []
    missing: int = sum((1 + -(-across * bits // 8)) * down for across, down in sizes or [(width, height)] if across > 0)
    unpacker, at = zlib.decompressobj(), len(SIGNATURE)
    while at + 8 <= len(data) and missing > 0:
        length, name = struct.unpack_from(">I4s", data, at)
        packed = data[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        while packed and missing > 0:
            missing -= len(unpacker.decompress(packed, AT_ONCE))
            packed = unpacker.unconsumed_tail
        at += 12 + length
    return missing > 0
