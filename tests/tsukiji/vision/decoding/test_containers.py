"""What a file holds beside its pixels makes no difference, and costs next to nothing."""

import struct
import zlib
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngInfo

from tests.tsukiji.vision.pictures import BLUE, GREEN, RED, chunk, corners, noise, oriented, quarters, saved
from tests.tsukiji.vision.written import directory, png, tiff
from tsukiji.errors import (
    ImageDamaged,
    ImageTooCostly,
    ImageTooManyPixels,
    ImageTruncated,
    NotAnImage,
    UnsupportedFormat,
)
from tsukiji.vision.decoding.containers.contents import MOST_PARTS
from tsukiji.vision.decoding.decode import decode, measure, probe

XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
LARGE = 19 * 2**20


def same(data, plain):
    return ImageChops.difference(decode(data), decode(plain)).getbbox() is None


def photo():
    return noise(12, 10).resize((96, 80), Image.Resampling.BICUBIC)


# --- PNG -------------------------------------------------------------------------------------------------------------

PNG = saved(photo(), "PNG")
HUGE = zlib.compress(bytes(2 * 2**20))
NOTES = {
    "packed text": chunk(b"zTXt", b"workflow\0\0" + HUGE),
    "international text": chunk(b"iTXt", b"workflow\0\1\0\0\0" + HUGE),
    "profile": chunk(b"iCCP", b"icc\0\0" + HUGE),
    "profile that is packed wrongly": chunk(b"iCCP", b"icc\0\0" + HUGE[:-9] + bytes(9)),
    "profile packed otherwise": chunk(b"iCCP", b"icc\0\7" + HUGE),
    "text packed otherwise": chunk(b"zTXt", b"a\0\7" + HUGE),
    "wrong checksum": chunk(b"tEXt", b"a\0b")[:-1] + b"?",
    "short gamma": chunk(b"gAMA", b"x"),
    "short density": chunk(b"pHYs", b"x"),
    "short colours": chunk(b"cHRM", b"x"),
    "short transparency": chunk(b"tRNS", b"x"),
    "short intent": chunk(b"sRGB", b""),
    "short animation": chunk(b"acTL", b"x"),
    "unknown": chunk(b"teSt", bytes(100)),
    "illegible EXIF": chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
    "EXIF with a wrong checksum": chunk(b"eXIf", b"MM\0*")[:-1] + b"?",
}


@pytest.mark.parametrize("note", NOTES)
def test_notes_never_spoil_a_png(note):
    assert same(PNG[:33] + NOTES[note] + PNG[33:], PNG)
    assert same(PNG[:-12] + NOTES[note] + PNG[-12:], PNG)


def test_a_png_needs_no_end():
    for data in (PNG[:-12], PNG[:-6], PNG + b"trailing" * 99):
        assert same(data, PNG)
        assert probe(data).format == "PNG"


def test_notes_between_pixels_do_not_end_them():
    at = PNG.index(b"IDAT") - 4
    length = int.from_bytes(PNG[at : at + 4])
    body = PNG[at + 8 : at + 8 + length]
    parts = chunk(b"IDAT", body[:100]) + chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", body[100:])
    assert same(PNG[:at] + parts + PNG[at + 12 + length :], PNG)


def test_a_png_whose_header_is_wrong_is_damaged_and_not_truncated():
    for data in (PNG[:20] + b"?" + PNG[21:], PNG[:8] + PNG[33:]):
        with pytest.raises(ImageDamaged):
            probe(data)


@pytest.mark.parametrize("after", [False, True])
def test_a_png_tells_its_orientation_in_many_ways(after):
    exif = Image.Exif()
    exif[0x0112] = 6
    told = exif.tobytes()[6:]
    raw = "\nexif\n      9\n" + told.hex()
    texts = [("XML:com.adobe.xmp", XMP.decode()), ("Raw profile type exif", raw)]
    expected = oriented(6, "PNG", photo())
    for zipped in (False, True):
        for key, text in texts:
            info = PngInfo()
            info.add_itxt(key, text, zip=zipped) if key.startswith("XML") else info.add_text(key, text, zip=zipped)
            written = saved(photo(), "PNG", pnginfo=info)
            assert same(written, expected)
    note = chunk(b"eXIf", told)
    assert same(PNG[:-12] + note + PNG[-12:] if after else PNG[:33] + note + PNG[33:], expected)


# --- JPEG ------------------------------------------------------------------------------------------------------------

KINDS = {
    "plain": {},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True, "subsampling": 0},
    "with restarts": {"restart_marker_blocks": 2},
}


def scan_of(data):
    return data.index(b"\xff\xda")


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_needs_no_end(kind):
    data = saved(photo(), "JPEG", quality=90, **KINDS[kind])
    for whole in (data[:-2], data[:-1], data[:-2] + bytes(320), data + b"trailing" * 99, data[:-2] + b"\xff\xff"):
        assert same(whole, data)
        assert probe(whole).format == "JPEG"


@pytest.mark.parametrize("end", [b"", b"\xff", b"\xff\xd9"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_that_lacks_pixels_is_refused_with_an_end_and_without(kind, end):
    data = saved(photo(), "JPEG", quality=90, **KINDS[kind])
    first = scan_of(data)
    for part in (0.2, 0.5, 0.8):
        cut = data[: first + int((len(data) - first) * part)]
        if kind == "progressive" and end == b"\xff\xd9":
            continue  # all of it is there, with fewer details
        for side in (None, 16):
            with pytest.raises(ImageTruncated):
                decode(cut + end, target_side=side)


def test_a_jpeg_cut_between_its_scans_is_refused():
    data = saved(photo(), "JPEG", progressive=True)
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    for at in scans[1:]:
        start = data.rindex(b"\xff\xc4", 0, at) if b"\xff\xc4" in data[scans[0] : at] else at
        with pytest.raises(ImageTruncated):
            probe(data[:start])


def test_a_grey_corner_is_no_reason_to_refuse():
    for mode, tone in (("RGB", (128, 128, 128)), ("L", 128), ("CMYK", (128, 128, 128, 128))):
        assert decode(saved(Image.new(mode, (40, 40), tone), "JPEG")).size == (40, 40)


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\r\n", b"\n \t"])
def test_what_programs_put_before_a_picture_is_passed_over(before):
    data = saved(photo(), "JPEG")
    assert same(before + data, data)
    with pytest.raises(NotAnImage):
        decode(before + b"nothing")


def test_segments_of_notes_never_spoil_a_jpeg():
    data = saved(photo(), "JPEG")
    for note in (
        b"\xff\xe1\x00\x10Exif\0\0MM\0*\xff\xff\xff\xff",
        b"\xff\xe2\x00\x12ICC_PROFILE\0\1\2xx",
        b"\xff\xed\x00\x20Photoshop 3.0\x008BIM" + bytes(12),
        b"\xff\xfe\xff\xff" + bytes(65533),
        b"\xff\xe0\x00\x07JFXX\0",
        b"\xff\xff\xff\xff",
        b"\xff\x00",
    ):
        assert same(data[:2] + note + data[2:], data)


@pytest.mark.parametrize(
    ("change", "reason"), [({0: 12}, "12-bit"), ({5: 2}, "2-channel"), ({1: 0, 2: 0}, "height that is told")]
)
def test_kinds_of_jpeg_that_are_not_decoded_are_called_so(change, reason):
    data = bytearray(saved(photo(), "JPEG"))
    frame = data.index(b"\xff\xc0") + 4
    for at, value in change.items():
        data[frame + at] = value
    with pytest.raises(UnsupportedFormat, match=reason):
        probe(bytes(data))


# --- the others ------------------------------------------------------------------------------------------------------


def test_a_webp_whose_notes_are_cut_is_whole():
    data = saved(photo(), "WEBP", lossless=True, exif=b"Exif\0\0" + bytes(500), xmp=bytes(500))
    plain = saved(photo(), "WEBP", lossless=True)
    for whole in (data[:-300], data[:-800], plain + b"trailing"):
        assert same(whole, plain)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF"])
def test_xmp_tells_the_orientation_where_exif_does_not(kind):
    options = {"tiffinfo": {700: XMP}} if kind == "TIFF" else {"xmp": XMP}
    data = saved(quarters(), kind, **options)
    assert corners(decode(data))[1] == pytest.approx(RED, abs=12)
    assert measure(data) == (48, 64)


def test_a_bmp_needs_no_padding_after_its_last_row():
    data = saved(photo().crop((0, 0, 33, 20)), "BMP")
    assert same(data[:-1], data)
    with pytest.raises(ImageTruncated):
        probe(data[:-2])


def test_a_frame_that_is_larger_than_its_gif_counts():
    data = bytearray(saved(photo().quantize(8), "GIF"))
    data[6:10] = struct.pack("<HH", 10, 10)
    assert decode(bytes(data)).size == measure(bytes(data)) == (96, 80)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_a_long_animation_the_first_frame_alone_is_read(kind):
    frames = [Image.new("RGB", (24, 24), colour) for colour in (RED, GREEN, BLUE)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:] * 20)
    facts = probe(data)
    assert (facts.animated, facts.format) == (True, kind)
    assert decode(data).getpixel((5, 5)) == pytest.approx(RED, abs=6)


def files_of(image):
    for kind, options in (
        ("PNG", {}),
        *(("JPEG", options) for options in KINDS.values()),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {}),
    ):
        yield f"{kind} {options}", saved(image, kind, **options)
    values = np.asarray(image)
    yield "PNG interlaced", png(values, 8, interlaced=True)
    yield "TIFF of strips", tiff(values, 2, strip_rows=7, packed=True)
    yield "TIFF of planes", tiff(values, 2, planar=True)
    yield "TIFF of tiles", tiff(values, 2, tile=16)


@pytest.mark.parametrize("image", [photo(), Image.new("RGB", (60, 60), (8, 8, 8)), Image.new("RGB", (40, 40))])
def test_what_is_cut_anywhere_shows_the_same_picture_or_is_refused(image):
    for name, data in files_of(image):
        whole = decode(data)
        for length in (*range(40, len(data) - 40, len(data) // 12 + 1), *range(len(data) - 40, len(data))):
            try:
                picture = decode(data[:length])
            except (ImageTruncated, NotAnImage, UnsupportedFormat):
                continue
            assert ImageChops.difference(picture, whole).getbbox() is None, (name, length)


def test_a_png_whose_pixels_end_early_is_refused_though_the_file_does_not():
    header = struct.pack(">IIBBBBB", 20, 20, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes([200]) * 60 for _ in range(19))
    for body in (rows, rows[:-700]):
        data = PNG[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
        with pytest.raises(ImageTruncated):
            probe(data)


# --- TIFF ------------------------------------------------------------------------------------------------------------


def linked(*pages):
    """A TIFF of several directories, given size, tone and further tags of each; 330 names one by its number."""
    values = [np.full((height, width), tone, np.uint8) for width, height, tone, _ in pages]
    body = b"".join(each.tobytes() for each in values)
    body += bytes(len(body) & 1)
    starts = [8]
    for each in values:
        starts.append(starts[-1] + each.size)
    at, parts, places = 8 + len(body), [], []
    for (width, height, _, extra), start, stop in zip(pages, *zip(*pairwise(starts), strict=True), strict=True):
        tags = {256: [width], 257: [height], 258: [8], 259: [1], 262: [1], 273: [start], 277: [1], 278: [height]}
        tags |= {279: [stop - start]} | extra
        parts.append(tags)
        places.append(at)
        at += len(directory(tags, at)) + len(directory(tags, at)) % 2
    written = b""
    for number, place in enumerate(places):
        tags = {tag: [places[value[0]]] if tag == 330 else value for tag, value in parts[number].items()}
        following = 0 if 330 in parts[0] or number + 1 == len(parts) else places[number + 1]
        part = directory(tags, place, following=following)
        written += part + bytes(len(part) & 1)
    return b"II*\0" + struct.pack("<I", places[0]) + body + written


SMALL, WHOLE = (16, 12, 10, {254: [1]}), (64, 48, 200, {254: [0]})


@pytest.mark.parametrize(
    "data",
    [
        linked((16, 12, 10, {254: [1], 330: [1]}), (64, 48, 200, {262: [32803]})),
        linked((16, 12, 10, {254: [1], 330: [1]}), (64, 48, 200, {262: [34892]})),
        linked((16, 12, 10, {254: [1], 330: [1]}), (64, 48, 200, {259: [34713]})),
        linked((64, 48, 200, {50706: bytes([1, 4, 0, 0])})),
        linked((64, 48, 200, {262: [32803]})),
        linked(SMALL, (64, 48, 200, {262: [32803]})),
    ],
)
def test_camera_raws_that_are_tiffs_are_refused_as_camera_raws(data):
    with pytest.raises(UnsupportedFormat) as caught:
        probe(data)
    assert caught.value.extra == {"format": "camera raw"}


@pytest.mark.parametrize(
    "data",
    [
        linked(SMALL, WHOLE),
        linked((16, 12, 10, {254: [1], 330: [1]}), WHOLE),
        linked((16, 12, 10, {255: [2]}), WHOLE),
        linked((16, 12, 10, {254: [4]}), WHOLE),
    ],
)
def test_a_thumbnail_before_the_picture_is_passed_over(data):
    assert (probe(data).width, decode(data).getpixel((3, 3))) == (64, (200, 200, 200))


def test_of_two_whole_pages_the_first_counts():
    data = linked(WHOLE, (16, 12, 10, {254: [1]}))
    assert (probe(data).animated, decode(data).size) == (True, (64, 48))
    assert decode(linked(SMALL)).size == (16, 12), "a small version of nothing is all there is"


def test_a_tiff_says_how_large_it_is_without_a_strip_of_its_own_size():
    values = np.asarray(photo())
    data = tiff(values, 2, packed=True, t278=[2**31])
    assert np.array_equal(np.asarray(decode(data)), values)


# --- what would cost too much ----------------------------------------------------------------------------------------

JPEG = saved(photo(), "JPEG")
GIF = saved(photo().quantize(8), "GIF")
FRAME = GIF.index(b"\x2c", 13 + 3 * 8)
WEBP = saved(photo(), "WEBP")
RUNS = struct.pack("<HIHHI", 0x4D42, 0, 0, 0, 1078) + struct.pack("<IiiHHIIIIII", 40, 9, 9, 1, 8, 1, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        JPEG[:2] + b"\xff\xe1\0\2" * (LARGE // 4) + JPEG[2:],
        PNG[:33] + chunk(b"teXt", b"") * (LARGE // 12) + PNG[33:],
        PNG[:33] + chunk(b"IDAT", b"") * (LARGE // 12) + PNG[33:],
        GIF[:FRAME] + b"\x21\xfe" + b"\1x" * (LARGE // 2) + b"\0" + GIF[FRAME:],
        GIF[:FRAME] + b"\x21\xfe\0" * (LARGE // 3) + GIF[FRAME:],
        WEBP[:12] + b"EXIF\0\0\0\0" * (LARGE // 8) + WEBP[12:],
        tiff(np.zeros((8, 8), np.uint8), 1, t273=[8] * (MOST_PARTS + 1)),
        RUNS + bytes(1024) + b"\1\5" * 2**22,
    ],
    ids=["segments", "chunks", "pixel chunks", "blocks", "comments", "WebP chunks", "strips", "run lengths"],
)
def test_files_of_too_many_parts_are_refused(data):
    with pytest.raises(ImageTooCostly) as caught:
        probe(data)
    assert caught.value.code == "too_costly"


@pytest.mark.parametrize(
    "data",
    [
        JPEG[:2] + b"\xff" * LARGE + JPEG[2:],
        JPEG[:-2] + b"\xff" * LARGE + JPEG[-2:],
        JPEG[:-2] + b"\xff\xfe\0\2" * (LARGE // 4) + JPEG[-2:],
        PNG[:-12] + chunk(b"tEXt", b"") * (LARGE // 12) + PNG[-12:],
        GIF[:-1] + GIF[FRAME:-1] * 500 + b";",
    ],
    ids=["fill bytes before", "fill bytes after", "comments after", "chunks after", "frames"],
)
def test_what_fills_a_file_is_passed_over(data):
    assert probe(data).width == 96


def test_scans_have_a_bound():
    data = saved(photo(), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    assert decode(data[:-2] + last * 50 + data[-2:]).size == (96, 80)
    with pytest.raises(ImageTooCostly, match="scans"):
        probe(data[:-2] + last * 200 + data[-2:])


def test_what_looks_like_scans_behind_a_picture_is_none():
    data = saved(photo(), "JPEG", progressive=True)
    assert same(data + b"\xff\xda" * 1000, data)


def test_a_tile_that_is_larger_than_any_picture_is_refused():
    data = tiff(np.zeros((8, 8, 3), np.uint8), 2, packed=True, tile=16, t322=[16384], t323=[16384])
    with pytest.raises(ImageTooManyPixels, match="tiles"):
        probe(data)


def test_a_webp_is_measured_before_its_canvas_is_made():
    data = bytearray(saved(photo(), "WEBP", exif=b"Exif\0\0MM\0*", lossless=True))
    canvas = data.index(b"VP8X") + 12
    data[canvas : canvas + 6] = (7999).to_bytes(3, "little") * 2
    with pytest.raises(ImageTooManyPixels, match="8000 x 8000"):
        probe(bytes(data))
