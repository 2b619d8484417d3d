"""TIFF: one page, with the tags needed for its pixels."""

import struct
from collections.abc import Iterator
from typing import Final

from tsukiji.errors import ImageDamaged, ImageTooCostly, ImageTruncated, UnsupportedFormat
from tsukiji.vision.decoding.containers.contents import MOST_PARTS, Contents
from tsukiji.vision.decoding.containers.exif import ORIENTATION, SIZES, Directory, Tiff, orientation_of

SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, BITS, PACKING, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
STRIPS, CHANNELS, ROWS_PER_STRIP, STRIP_BYTES, PLANES, SUBDIRECTORIES = 273, 277, 278, 279, 284, 330
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, SAMPLE_FORMAT, XMP, PROFILE, DNG = (
    322,
    323,
    324,
    325,
    339,
    700,
    34675,
    50706,
)
NEEDED: Final = frozenset(
    {WIDTH, HEIGHT, BITS, PACKING, PHOTOMETRIC, 266, STRIPS, CHANNELS, ROWS_PER_STRIP, STRIP_BYTES, PLANES}
    | {290, 291, 292, 293, 301, 317, 320}  # fax options, transfer function, predictor, palette
    | {TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, 332, 334, 338, SAMPLE_FORMAT}
    | {347, *range(512, 522), 529, 530, 531, 532}  # JPEG's tables, YCbCr's coefficients
)
MOST_PROFILE: Final = 4 * 2**20
MOST_PAGES: Final = 64
"""Most pages to look at if the first is not the picture itself."""
SENSOR: Final = frozenset({32803, 34892})
"""Photometric interpretations of sensor data: colour filter array, linear raw."""
SENSOR_PACKINGS: Final = frozenset({32767, 32769, 32770, 34713, 34892, 65000, 65535})
"""Compressions of camera raw files."""
REDUCED: Final = 0b101
"""Bits of NewSubfileType: a smaller version, a mask."""
INKS, UNSIGNED, SIGNED, FLOAT = 5, 1, 2, 3


def read(data: bytes) -> Contents:
    """Read the directories.

    Raises:
        ImageTruncated, ImageDamaged, ImageTooCostly, UnsupportedFormat: of camera raws, too.
    """
    tiff = Tiff.of(data)
    if tiff is None or tiff.first + 2 > len(data):
        raise ImageTruncated("The file ends before its directory.")
    if tiff.big and tiff.order == ">":
        raise UnsupportedFormat("BigTIFF is only supported in little-endian order.", format="big-endian BigTIFF")
    first = tiff.directory(tiff.first)
    if first is None:
        raise ImageTruncated("The file ends within its directory.")
    page = choose_page(tiff, first)
    width, height = tiff.number(page, WIDTH), tiff.number(page, HEIGHT)
    if not width or not height:
        raise ImageDamaged("The directory has no size of the picture.")
    check_parts(page, width, height)
    bits, channels = tiff.number(page, BITS, 1), max(tiff.number(page, CHANNELS, 1), 1)
    check_whole(tiff, page, bits * (1 if tiff.number(page, PLANES) == 2 else channels))
    form, inverted = tiff.number(page, SAMPLE_FORMAT, UNSIGNED), tiff.number(page, PHOTOMETRIC) == 0
    return Contents(
        shown(tiff, page, height),
        width,
        height,
        orientation_of(*notes_of(tiff, page)),
        animated=first.next != 0,
        block=tiff.number(page, TILE_WIDTH) * tiff.number(page, TILE_HEIGHT),
        memory=12 + channels * max(bits // 8, 1),
        inverted=inverted and bits > 8,
        other_sign=(bits == 8 and form == SIGNED) or (bits == 32 and form == UNSIGNED),
    )


def choose_page(tiff: Tiff, first: Directory) -> Directory:
    """Return the directory of the picture itself: the first, unless that is a reduced version of another.

    Raises:
        UnsupportedFormat: it is a camera raw file.
    """
    pages = [first, *others(tiff, first)]
    for page in pages:
        if (
            DNG in page.entries
            or tiff.number(page, PHOTOMETRIC) in SENSOR
            or tiff.number(page, PACKING) in SENSOR_PACKINGS
        ):
            raise UnsupportedFormat("Camera raw files are not supported.", format="camera raw")
    return next((page for page in pages if not is_reduced(tiff, page) and WIDTH in page.entries), first)


def others(tiff: Tiff, first: Directory) -> Iterator[Directory]:
    """Yield sub-directories of the first directory and, if it is not the picture itself, the following ones."""
    for at in tiff.numbers(first, SUBDIRECTORIES)[:MOST_PAGES]:
        if found := tiff.directory(at):
            yield found
    page: Directory | None = first
    if not is_reduced(tiff, first):
        return
    for _ in range(MOST_PAGES):
        page = tiff.directory(page.next) if page and page.next else None
        if page is None:
            return
        yield page


def is_reduced(tiff: Tiff, page: Directory) -> bool:
    return bool(tiff.number(page, SUBFILE) & REDUCED) or tiff.number(page, OLD_SUBFILE) == 2


def check_parts(page: Directory, width: int, height: int) -> None:
    """Raise ImageTooCostly if the picture consists of too many pieces."""
    parts = max((page.entries[tag].count for tag in (STRIPS, TILES) if tag in page.entries), default=0)
    if parts > MOST_PARTS:
        raise ImageTooCostly(f"The picture of {width} x {height} pixels is in {parts:,} pieces.")


def check_whole(tiff: Tiff, page: Directory, pixel_bits: int) -> None:
    """Raise ImageTruncated if the file ends before something that the directory points to."""
    end = len(tiff.data)
    for tag in NEEDED & page.entries.keys():
        entry = page.entries[tag]
        if entry.at + entry.count * SIZES.get(entry.type, 1) > end:
            raise ImageTruncated(f"The file ends before the values of its tag {tag}.")
    tiled = TILES in page.entries
    places = tiff.numbers(page, TILES if tiled else STRIPS)
    sizes = tiff.numbers(page, TILE_BYTES if tiled else STRIP_BYTES)
    if tiff.number(page, PACKING, 1) == 1:  # uncompressed: the declared sizes are not used
        across, rows = tiff.number(page, WIDTH), tiff.number(page, HEIGHT)
        down = tiff.number(page, ROWS_PER_STRIP, rows) or rows
        if tiled:
            across, rows = tiff.number(page, TILE_WIDTH), tiff.number(page, TILE_HEIGHT)
            down = rows
        strips = max(1, -(-rows // max(down, 1)))
        row = -(-across * pixel_bits // 8)
        sizes = tuple(row * min(down, rows - number % strips * down) for number in range(len(places)))
    if any(place + size > end for place, size in zip(places, sizes, strict=False)):
        raise ImageTruncated("The file ends before its last pixels.")


def notes_of(tiff: Tiff, page: Directory) -> tuple[bytes, bytes]:
    """Return EXIF reduced to the page's orientation, and its XMP."""
    told = tiff.numbers(page, ORIENTATION)
    exif = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, ORIENTATION, 3, 1, told[0] & 0xFFFF, 0, 0) if told else b""
    xmp = page.entries.get(XMP)
    return exif, tiff.data[xmp.at : xmp.at + xmp.count] if xmp else b""


def shown(tiff: Tiff, page: Directory, height: int) -> bytes:
    """Return the file with a directory of this page and the necessary tags only."""
    order, long = tiff.order, "Q" if tiff.big else "I"
    kept = {tag: entry.raw for tag, entry in page.entries.items() if tag in NEEDED}
    profile = page.entries.get(PROFILE)
    if profile and tiff.number(page, PHOTOMETRIC) == INKS and profile.count * SIZES.get(profile.type, 1) < MOST_PROFILE:
        kept[PROFILE] = profile.raw
    if tiff.number(page, ROWS_PER_STRIP) > height:  # otherwise a strip would be decoded in one piece
        value = struct.pack(order + long, height)
        kept[ROWS_PER_STRIP] = struct.pack(f"{order}HH{long}", ROWS_PER_STRIP, 16 if tiff.big else 4, 1) + value
    padding = bytes(-len(tiff.data) % 8)
    at = len(tiff.data) + len(padding)
    head = tiff.data[:8] + struct.pack(order + "Q", at) if tiff.big else tiff.data[:4] + struct.pack(order + "I", at)
    count = struct.pack(order + ("Q" if tiff.big else "H"), len(kept))
    directory = b"".join(kept[tag] for tag in sorted(kept)) + bytes(8 if tiff.big else 4)
    return head + tiff.data[len(head) :] + padding + count + directory
