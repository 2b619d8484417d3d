"""The same photo looks the same at any depth, in any mode, in any container."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.tsukiji.vision.pictures import chunk, noise, saved
from tests.tsukiji.vision.written import png, tiff
from tsukiji.errors import ImageError, ImageNotFinite, UnsupportedFormat
from tsukiji.vision.decoding.decode import decode, probe

BITS = (8, 10, 12, 14, 16)
COMPRESSIONS = (None, "packbits", "tiff_lzw", "tiff_adobe_deflate", "zstd", "lzma", "jpeg")
LOSSY = {"JPEG": {"quality": 95, "subsampling": 0}, "MPO": {"quality": 95, "subsampling": 0}}
LOSSY["AVIF"] = {"quality": 95, "subsampling": "4:4:4"}
TOLERANCE = 3.0
"""Mean difference, of 255: JPEG at quality 95 takes two of it."""


def photo(width=24, height=20, brightest=255):
    """Colours that go from black to `brightest`, with both at once; smooth, as photos are."""
    y, x = np.mgrid[0:height, 0:width]
    colours = np.stack([x / (width - 1), y / (height - 1), (x + y) / (width + height - 2)], axis=2)
    values = np.round(colours * brightest).astype(np.uint8)
    values[:2, :2], values[-2:, -2:] = 0, brightest
    return values


COLOUR = photo()
GREY = np.asarray(Image.fromarray(COLOUR).convert("L"))
OPAQUE = np.full(GREY.shape, 255, np.uint8)


def deep(values, bits, dtype=np.uint16):
    """Values of 8 bits at another depth, with the whole of its range."""
    return np.round(values / 255 * (2**bits - 1)).astype(dtype)


def seen(data):
    return np.asarray(decode(data)).astype(int)


def grey_of(values):
    return np.repeat(np.asarray(values).astype(int)[:, :, None], 3, axis=2)


def differs(data, expected=COLOUR):
    expected = expected if expected.ndim == 3 else grey_of(expected)
    return np.abs(seen(data) - expected).mean()


# --- all of them -----------------------------------------------------------------------------------------------------


def of_pillow():
    """Every mode in every format and compression that Pillow writes without losing the picture."""
    picture = Image.fromarray(COLOUR)
    lab = ImageCms.profileToProfile(
        picture, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    eight = {mode: picture.convert(mode) for mode in ("L", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")}
    eight |= {"LAB": lab, "La": eight["LA"].convert("La"), "RGBa": eight["RGBA"].convert("RGBa")}
    eight["P"] = Image.fromarray(GREY).convert("P")
    eight["PA"] = eight["P"].convert("PA")
    for mode, image in eight.items():
        for kind in ("PNG", "TIFF", "GIF", "BMP", "WEBP", "AVIF", "JPEG", "MPO"):
            if (kind, mode) in {("GIF", "RGB"), ("GIF", "RGBA"), ("GIF", "RGBX")}:
                continue  # 256 colours are not these
            yield f"{mode} {kind}", image, kind, GREY if mode in {"L", "LA", "La", "P", "PA"} else COLOUR
    for bits in BITS:
        yield f"I;16 of {bits}", Image.fromarray(deep(GREY, bits)), "PNG TIFF", GREY
        big = deep(GREY, bits).astype(">u2").tobytes()
        yield f"I;16B of {bits}", Image.frombytes("I;16B", GREY.shape[::-1], big), "PNG TIFF", GREY
        yield f"I of {bits}", Image.fromarray(deep(GREY, bits, np.int32)), "PNG TIFF", GREY
        yield f"I below 0 of {bits}", Image.fromarray(deep(GREY, bits, np.int32) - 1024), "TIFF", GREY
        yield f"F of {bits}", Image.fromarray(deep(GREY, bits, np.float32)), "TIFF", GREY
    for bits in (24, 31):
        yield f"I of {bits}", Image.fromarray(deep(GREY, bits, np.int32)), "TIFF", GREY
    yield "F of 1", Image.fromarray((GREY / 255).astype(np.float32)), "TIFF", GREY
    yield "F of 0.01", Image.fromarray((GREY / 25500).astype(np.float32)), "TIFF", GREY
    yield "F from -1 to 1", Image.fromarray((GREY / 127.5 - 1).astype(np.float32)), "TIFF", GREY
    yield "F of 10,000", Image.fromarray((GREY * 1e4).astype(np.float32)), "TIFF", GREY


def written_by_pillow():
    for name, image, kinds, expected in of_pillow():
        for kind in kinds.split():
            for compression in COMPRESSIONS if kind == "TIFF" else (None,):
                if (image.mode, compression) == ("LAB", "jpeg"):
                    continue  # written with less colour
                options = {"compression": compression} if compression else LOSSY.get(kind, {})
                options = options | ({"lossless": True} if kind == "WEBP" else {})
                with contextlib.suppress(OSError, KeyError, ValueError, RuntimeError):  # it does not write this
                    yield f"{name} {kind} {compression}", saved(image, kind, **options), expected


def written_here():
    alpha = {1: GREY, 2: np.dstack([GREY, OPAQUE]), 3: COLOUR, 4: np.dstack([COLOUR, OPAQUE])}
    for channels, values in alpha.items():
        expected = GREY if channels < 3 else COLOUR
        for interlaced in (False, True):
            yield f"PNG {channels} x 8 {interlaced}", png(values, 8, interlaced=interlaced), expected
            for bits in BITS:
                name = f"PNG {channels} x {bits} of 16 {interlaced}"
                yield name, png(deep(values, bits), interlaced=interlaced), expected
    layouts = [{}, {"order": ">"}, {"packed": True}, {"order": ">", "packed": True}, {"big": True}, {"strip_rows": 7}]
    layouts += [{"tile": 16}, {"tile": 16, "packed": True}]
    kinds = [(1, 1, GREY, {}), (2, 3, COLOUR, {}), (2, 4, alpha[4], {"t338": [2]}), (2, 4, alpha[4], {"t338": [1]})]
    kinds += [(2, 4, alpha[4], {"t338": [0]}), (5, 4, np.dstack([255 - COLOUR, 0 * OPAQUE]), {})]
    for photometric, channels, values, extra in kinds:
        expected = GREY if channels == 1 else COLOUR
        for layout in layouts:
            for bits in (8, 12, 16):
                data = tiff(deep(values, bits), photometric, **layout, **extra)
                yield f"TIFF {photometric} {channels} x {bits} of 16 {layout} {extra}", data, expected
    for packed in (False, True):
        for bits in BITS:
            if bits == 16 or not packed:
                data = tiff(deep(COLOUR, bits), 2, planar=True, packed=packed)
                yield f"TIFF planes of {bits} packed {packed}", data, COLOUR
        yield "TIFF inverted 16", tiff(deep(255 - GREY, 16), 0, packed=packed), GREY
        yield "TIFF inverted float", tiff(((255 - GREY) / 255).astype(np.float32), 0, packed=packed), GREY
        yield "TIFF signed 8", tiff((GREY.astype(int) - 128).astype(np.int8), 1, packed=packed), GREY
        yield "TIFF unsigned 32", tiff(deep(GREY, 32, np.uint32), 1, packed=packed), GREY
        yield "TIFF signed 16", tiff((deep(GREY, 12).astype(int) - 1024).astype(np.int16), 1, packed=packed), GREY


def test_the_same_photo_looks_the_same_at_any_depth_in_any_mode_and_container():
    met, wrong = 0, []
    for name, data, expected in (*written_by_pillow(), *written_here()):
        met += 1
        try:
            difference = differs(data, expected)
        except ImageError as error:
            wrong.append(f"{name}: {error!r}")
        else:
            if difference > TOLERANCE:
                wrong.append(f"{name}: {difference:.1f}")
    assert met >= 400
    assert not wrong, "\n".join(wrong)


# --- what decides ----------------------------------------------------------------------------------------------------


def test_a_dark_photo_of_8_bits_that_was_spread_over_16_stays_dark():
    dark = photo(brightest=40)
    grey = np.asarray(Image.fromarray(dark).convert("L"))
    for spread in (lambda values: values.astype(np.uint16) * 257, lambda values: values.astype(np.uint16) * 256):
        assert differs(png(spread(grey)), grey) == 0
        assert differs(png(spread(dark)), dark) == 0
        assert differs(tiff(spread(dark), 2), dark) == 0


def test_black_is_black_at_any_depth():
    for dtype in (np.uint16, np.int16, np.int32, np.float32):
        assert seen(tiff(np.zeros((8, 8), dtype), 1)).max() == 0


def test_values_of_no_usual_scale_are_stretched():
    heights = (np.arange(64).reshape(8, 8) * 1000 + 10**9).astype(np.int32)
    pixels = seen(tiff(heights, 1))
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert (np.diff(pixels[:, :, 0].ravel()) > 0).all()


def test_negative_values_are_seen():
    pixels = seen(tiff(np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8), 1))
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert pixels[4, 0, 0] == pytest.approx(128, abs=3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_a_reason_of_their_own(value):
    values = np.full((8, 8), 0.5, np.float32)
    values[3, 3] = value
    with pytest.raises(ImageNotFinite) as caught:
        probe(tiff(values, 1))
    assert caught.value.code == "not_finite"
    assert "NaN" in (caught.value.hint or "")


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_transparent_tone_of_16_bits_shows_white(bits):
    values = deep(GREY, bits)
    key = int(values[5, 5])
    pixels = seen(png(values, before=chunk(b"tRNS", key.to_bytes(2))))
    assert (pixels[values == key] == 255).all()
    assert np.abs(pixels - grey_of(GREY))[values != key].mean() < 1


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_transparent_colour_of_16_bits_shows_white(bits):
    values = deep(COLOUR, bits)
    key = values[5, 5]
    pixels = seen(png(values, before=chunk(b"tRNS", key.astype(">u2").tobytes())))
    hidden = (values == key).all(axis=2)
    assert (pixels[hidden] == 255).all()
    assert np.abs(pixels - COLOUR)[~hidden].mean() < 1


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_opacity_has_bits_of_its_own(bits):
    half = np.dstack([deep(COLOUR, bits), np.full(GREY.shape, 0x8000, np.uint16)])
    assert differs(png(half), np.round(COLOUR * (128 / 255) + 127)) < 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tiff(COLOUR.astype(np.float32), 2), "unknown pixel mode"),
        (tiff(GREY.astype(np.float64), 1), "unknown pixel mode"),
        (tiff(deep(COLOUR, 10), 2, planar=True, packed=True), "planes"),
        (tiff(GREY, 1, big=True, order=">"), "little-endian"),
        (tiff(GREY, 1, t259=[34712]), "34712"),
    ],
)
def test_kinds_that_are_not_read_are_refused_as_such(data, reason):
    with pytest.raises(UnsupportedFormat, match=reason):
        probe(data)


def test_a_large_picture_is_converted_part_by_part():
    values = np.asarray(noise(1200, 1000))[:, :, 0]
    assert differs(png(deep(values, 12)), values) == 0
    assert differs(tiff((values / 255).astype(np.float32), 1), values) < 1
    transparent = saved(Image.fromarray(np.dstack([values, values, values, np.full_like(values, 255)])), "PNG")
    assert differs(transparent, values) == 0
    assert Image.open(io.BytesIO(transparent)).mode == "RGBA"
