import contextlib
import threading
import tracemalloc
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.tsukiji.vision.pictures import (
    BLUE,
    GREEN,
    RED,
    WHITE,
    YELLOW,
    bomb,
    chunk,
    close,
    corners,
    ink_profile,
    noise,
    oriented,
    quarters,
    saved,
)
from tsukiji.errors import (
    ImageBadDimensions,
    ImageError,
    ImageTooManyBytes,
    ImageTooManyPixels,
    ImageTruncated,
    NotAnImage,
    UnsupportedFormat,
)
from tsukiji.kernel.settings import LimitSettings
from tsukiji.vision.decoding.decode import DecodeLimits, ImageFacts, decode, probe, thumbnail
from tsukiji.vision.miniature import miniature_of
from tsukiji.vision.phash import phash

UPRIGHT = [RED, GREEN, BLUE, YELLOW]
STORED = {
    1: [RED, GREEN, BLUE, YELLOW],
    2: [GREEN, RED, YELLOW, BLUE],
    3: [YELLOW, BLUE, GREEN, RED],
    4: [BLUE, YELLOW, RED, GREEN],
    5: [RED, BLUE, GREEN, YELLOW],
    6: [BLUE, RED, YELLOW, GREEN],
    7: [YELLOW, GREEN, BLUE, RED],
    8: [GREEN, YELLOW, RED, BLUE],
}
"""What each EXIF orientation makes of pixels stored as red, green, blue, yellow."""


def grey16(values):
    return Image.fromarray(np.array(values, np.uint16))


def flat(pixel, mode, size=(16, 16)):
    return Image.new(mode, size, pixel)


# --- formats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg", "quality": 95}),
    ],
)
def test_each_format_shows_its_picture(kind, options):
    data = saved(quarters(), kind, **options)
    picture = decode(data)
    assert (picture.mode, picture.size, picture.info) == ("RGB", (64, 48), {})
    assert all(close(a, b) for a, b in zip(corners(picture), UPRIGHT, strict=True))
    assert probe(data) == ImageFacts(
        kind, 64, 48, animated=False, phash=phash(picture), miniature=miniature_of(picture)
    )


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_of_several_frames_the_first_counts(kind):
    frames = [flat(color, "RGB", (32, 32)) for color in (RED, GREEN, BLUE)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert close(decode(data).getpixel((5, 5)), RED)
    assert probe(data).animated


def test_of_a_phones_mpo_the_first_picture_counts():
    data = saved(flat(RED, "RGB"), "MPO", save_all=True, append_images=[flat(BLUE, "RGB")])
    assert Image.open(BytesIO(data)).format == "MPO"
    assert close(decode(data).getpixel((3, 3)), RED)
    assert probe(data).format == "JPEG"


# --- orientation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("AVIF", {}),
    ],
)
def test_pictures_come_out_upright(orientation, kind, options):
    data = oriented(orientation, kind, **options)
    picture = decode(data)
    assert picture.size == ((64, 48) if orientation < 5 else (48, 64))
    assert all(close(a, b, 12) for a, b in zip(corners(picture), STORED[orientation], strict=True))
    assert picture.getexif().get(0x0112) is None
    assert (probe(data).width, probe(data).height) == picture.size


def test_an_orientation_that_does_not_exist_changes_nothing():
    assert corners(decode(oriented(77, "PNG"))) == UPRIGHT


@pytest.mark.parametrize(
    "junk", [b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0junk", b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\1"]
)
def test_illegible_exif_does_not_spoil_the_picture(junk):
    data = saved(quarters(), "JPEG", quality=95, subsampling=0, exif=junk)
    assert close(corners(decode(data))[0], RED)


# --- transparency ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparency_shows_white(kind):
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 128))
    picture = decode(saved(image, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})))
    assert picture.getpixel((0, 0)) == RED
    assert picture.getpixel((1, 0)) == WHITE
    assert picture.getpixel((2, 0)) == (127, 127, 127)


def test_transparent_grey_shows_white():
    image = Image.new("LA", (4, 4), (100, 255))
    image.putpixel((0, 0), (0, 0))
    picture = decode(saved(image, "PNG"))
    assert (picture.getpixel((0, 0)), picture.getpixel((1, 1))) == (WHITE, (100, 100, 100))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_colour_shows_white(kind):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, 0, 0, 255])
    image.putpixel((3, 3), 1)
    picture = decode(saved(image, kind, transparency=0))
    assert (picture.getpixel((0, 0)), picture.getpixel((3, 3))) == (WHITE, BLUE)


def test_a_palette_with_an_alpha_for_each_colour():
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((3, 3), 1)
    picture = decode(saved(image, "PNG", transparency=b"\x80\xff"))
    assert (picture.getpixel((0, 0)), picture.getpixel((3, 3))) == ((255, 127, 127), BLUE)


def test_a_transparent_colour_of_an_rgb_png_shows_white():
    image = quarters(8, 8)
    assert corners(decode(saved(image, "PNG", transparency=RED))) == [WHITE, GREEN, BLUE, YELLOW]


def test_a_palette_without_transparency_keeps_its_colours():
    assert corners(decode(saved(quarters().quantize(4), "PNG"))) == UPRIGHT


# --- depth -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_keep_their_high_byte(kind):
    values = np.tile(np.array([[0, 255, 256, 0x7FFF, 0x8000, 0xFF00, 0xFFFF, 1]], np.uint16), (8, 1))
    picture = decode(saved(grey16(values), kind))
    assert [picture.getpixel((x, 0))[0] for x in range(8)] == [0, 0, 1, 127, 128, 255, 255, 0]


def test_16_bits_of_the_other_byte_order():
    values = np.full((8, 8), 0x1234, np.uint16)
    image = Image.frombytes("I;16B", (8, 8), values.astype(">u2").tobytes())
    assert decode(saved(image, "TIFF")).getpixel((0, 0)) == (0x12, 0x12, 0x12)


def test_32_bit_integers_are_taken_by_the_bits_that_they_use():
    image = Image.fromarray(np.full((8, 8), 0x4321, np.int32))
    image.putpixel((0, 0), 0)
    image.putpixel((1, 0), 0xFFFF)
    picture = decode(saved(image, "TIFF"))
    assert [picture.getpixel((x, 0))[0] for x in range(3)] == [0, 255, 0x43]


@pytest.mark.parametrize(("scale", "half"), [(1.0, 0.5), (255.0, 127.5), (65535.0, 32767.5), (1e6, 5e5)])
def test_floats_are_scaled_by_what_holds_them(scale, half):
    image = Image.fromarray(np.full((8, 8), scale, np.float32))
    image.putpixel((0, 0), half)
    image.putpixel((1, 0), 0.0)
    picture = decode(saved(image, "TIFF"))
    assert [picture.getpixel((x, 0))[0] for x in range(3)] == [128, 0, 255]


def test_one_bit():
    image = Image.new("1", (8, 8), 1)
    image.putpixel((0, 0), 0)
    picture = decode(saved(image, "PNG"))
    assert (picture.getpixel((0, 0)), picture.getpixel((1, 1))) == ((0, 0, 0), WHITE)


# --- inks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_without_a_profile(kind):
    picture = decode(saved(flat((0, 255, 255, 0), "CMYK"), kind))
    assert close(picture.getpixel((3, 3)), RED)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_by_their_profile(kind):
    profile = ink_profile((255 * 50 // 100, 128, 128))  # L* 50: middle grey, whatever the colours say
    picture = decode(saved(flat((0, 255, 255, 0), "CMYK"), kind, icc_profile=profile))
    assert close(picture.getpixel((3, 3)), (118, 118, 118))


@pytest.mark.parametrize("profile", [b"junk", ink_profile((0, 0, 0))[:200]])
def test_a_broken_profile_is_passed_over(profile):
    assert close(decode(saved(flat((0, 255, 255, 0), "CMYK"), "JPEG", icc_profile=profile)).getpixel((3, 3)), RED)


def test_inks_stored_as_ycck():
    # Red's inks inverted, as Adobe stores them, then as luminance and chroma: (179, 171, 1), and no black.
    data = bytearray(saved(flat((255 - 179, 255 - 171, 255 - 1, 0), "CMYK"), "JPEG", quality=95))
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    data[transform] = 2
    assert close(decode(bytes(data)).getpixel((3, 3)), RED)


def test_lab():
    picture = decode(saved(flat((128, 128, 128), "LAB"), "TIFF"))
    assert close(picture.getpixel((3, 3)), (119, 119, 119))


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_half_a_file_is_refused(kind, part):
    data = saved(noise(64, 64), kind)
    with pytest.raises(ImageTruncated):
        decode(data[: int(len(data) * part)])
    with pytest.raises(ImageTruncated):
        probe(data[: int(len(data) * part)])


def test_a_truncated_jpeg_is_refused_in_draft_mode_too():
    data = saved(noise(512, 512), "JPEG")
    with pytest.raises(ImageTruncated):
        decode(data[: len(data) // 2], target_side=32)


def test_a_png_with_a_wrong_checksum_is_refused():
    data = bytearray(saved(noise(64, 64), "PNG"))
    data[data.index(b"IDAT") + 100] ^= 0xFF
    with pytest.raises(ImageTruncated):
        decode(bytes(data))


@pytest.mark.parametrize("length", [3, 4, 8, 12, 20, 40])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_a_beginning_alone_is_refused(kind, length):
    with pytest.raises((ImageTruncated, NotAnImage, UnsupportedFormat)):
        decode(saved(noise(64, 64), kind)[:length])


def test_damage_anywhere_is_named_or_harmless():
    random = np.random.default_rng(3)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        whole = oriented(6, kind, noise(24, 24)) if kind not in ("BMP", "GIF") else saved(noise(24, 24), kind)
        for _ in range(60):
            data = bytearray(whole)
            for at in random.integers(0, min(len(data), 400), 4):
                data[at] = random.integers(256)
            with contextlib.suppress(ImageError):
                assert decode(bytes(data)).mode == "RGB"


def test_a_bomb_is_refused_by_its_header():
    data = bomb()
    assert len(data) < 200_000
    with pytest.raises(ImageTooManyPixels, match="30000 x 30000"):
        decode(data)
    with pytest.raises(ImageTooManyPixels):
        probe(data)


def test_between_the_services_limit_and_pillows_no_warning_escapes():
    with pytest.raises(ImageTooManyPixels):
        decode(bomb(12_000))


def test_more_pixels_than_pillow_likes_are_taken_where_the_limit_says_so(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decode(saved(quarters(), "PNG")).size == (64, 48)


@pytest.mark.parametrize("key", [b"Comment", b"Raw profile type exif"])
def test_a_text_bomb_inside_a_png_is_not_unpacked(key):
    data = saved(quarters(), "PNG")
    packed = key + b"\0\0" + zlib.compress(bytes(2**27))
    tracemalloc.start()
    picture = decode(data[:33] + chunk(b"zTXt", packed) + data[33:])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert corners(picture) == UPRIGHT
    assert most < 2**24


@pytest.mark.parametrize("size", [(3, 64), (64, 3), (201, 10)])
def test_sides_have_bounds(size):
    with pytest.raises(ImageBadDimensions):
        decode(saved(flat(RED, "RGB", size), "PNG"), DecodeLimits(max_side=200))


def test_files_have_a_limit():
    data = saved(noise(64, 64), "PNG")
    assert decode(data, DecodeLimits(max_bytes=len(data)))
    with pytest.raises(ImageTooManyBytes):
        decode(data, DecodeLimits(max_bytes=len(data) - 1))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"Dear reader,\nthis is a text named .jpg\n",
        b"BM and so on, a text again",
        b"MZ\x90\0" * 99,
        bytes(999),
    ],
)
def test_what_is_no_picture_is_called_so(data):
    with pytest.raises(NotAnImage):
        decode(data)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(99), "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isommp42" + bytes(99), "video"),
        (b"%PDF-1.7\n", "PDF"),
        (b'<?xml version="1.0"?>\n<svg xmlns="...">', "SVG"),
        (b"<svg width='1'>", "SVG"),
        (b"8BPS\0\1" + bytes(99), "Photoshop"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "camera raw"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    ],
)
def test_formats_that_are_not_taken_are_named(data, name):
    with pytest.raises(UnsupportedFormat, match=name) as caught:
        decode(data)
    assert caught.value.hint == "Convert it to JPEG or PNG."
    assert caught.value.extra == {"format": name}


def test_limits_come_from_the_settings():
    settings = LimitSettings.model_construct()
    assert DecodeLimits.of(settings) == DecodeLimits()
    assert DecodeLimits.of(
        LimitSettings(image_bytes=5, image_pixels=6, image_side=7, image_min_side=1)
    ) == DecodeLimits(5, 6, 7, 1)


# --- crop and draft --------------------------------------------------------------------------------------------------


def test_a_crop_is_cut_from_the_upright_picture():
    picture = decode(oriented(6, "PNG"), crop=(24, 0, 48, 32))
    assert picture.size == (24, 32)
    assert picture.getcolors() == [(24 * 32, STORED[6][1])]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_crop_may_take_everything(kind):
    assert decode(oriented(6, kind), crop=(0, 0, 48, 64)).size == (48, 64)


@pytest.mark.parametrize(
    "crop", [(0, 0, 0, 10), (5, 5, 5, 5), (-1, 0, 10, 10), (0, 0, 49, 10), (0, 0, 10, 65), (9, 9, 3, 3)]
)
def test_a_crop_outside_is_refused(crop):
    with pytest.raises(ImageBadDimensions, match="crop box"):
        decode(oriented(6, "JPEG"), crop=crop)


@pytest.mark.parametrize(
    ("size", "target", "expected"),
    [
        ((1600, 1200), 64, (200, 150)),
        ((1600, 1200), 75, (200, 150)),
        ((1600, 1200), 76, (400, 300)),
        ((1600, 1200), 300, (800, 600)),
        ((1600, 1200), 301, (1600, 1200)),
        ((1601, 1201), 64, (201, 151)),
    ],
)
def test_a_large_jpeg_is_decoded_no_smaller_than_twice_the_target(size, target, expected):
    assert decode(saved(flat(RED, "RGB", size), "JPEG"), target_side=target).size == expected


def test_other_formats_are_decoded_whole():
    assert decode(saved(flat(RED, "RGB", (1600, 1200)), "WEBP"), target_side=64).size == (1600, 1200)


def test_a_crop_counts_for_the_size_and_is_scaled_with_it():
    data = oriented(6, "JPEG", quarters(1600, 1200))
    picture = decode(data, crop=(600, 0, 1200, 800), target_side=75)
    assert picture.size == (150, 200)
    assert close(picture.getpixel((100, 100)), STORED[6][1])


def test_draft_mode_shows_the_same_picture():
    data = saved(quarters(1600, 1200).resize((1600, 1200), Image.Resampling.BICUBIC), "JPEG", quality=95)
    whole, draft = (decode(data, target_side=side).resize((64, 64)) for side in (None, 64))
    assert np.abs(np.asarray(whole, np.int16) - np.asarray(draft, np.int16)).mean() < 1


# --- the rest --------------------------------------------------------------------------------------------------------


def test_a_thumbnail_is_a_small_webp_without_metadata():
    data = thumbnail(oriented(6, "JPEG", quarters(1600, 1200), icc_profile=b"x" * 200))
    image = Image.open(BytesIO(data))
    assert (image.format, image.size) == ("WEBP", (144, 192))
    assert not {"exif", "icc_profile", "xmp"} & image.info.keys()
    assert all(close(a, b, 12) for a, b in zip(corners(image), STORED[6], strict=True))


def test_a_thumbnail_never_enlarges():
    assert Image.open(BytesIO(thumbnail(saved(quarters(), "PNG")))).size == (64, 48)


def test_threads_read_side_by_side():
    files = [oriented(6, "JPEG", noise(300, 200, seed)) for seed in range(4)]
    expected = [decode(data).tobytes() for data in files]
    wrong = []

    def read():
        for _ in range(5):
            wrong.extend(data for data, pixels in zip(files, expected, strict=True) if decode(data).tobytes() != pixels)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
