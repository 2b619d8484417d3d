"""Any of Pillow's modes to 8-bit RGB on white. Knows nothing of files."""

from io import BytesIO
from typing import Final, Literal

from PIL import Image, ImageCms

WHITE: Final = (255, 255, 255, 255)
WIDE: Final = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})
FULL_SCALES: Final = (1.0, 255.0, 65535.0)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a new RGB picture without metadata: depth to 8 bits, inks by their profile, transparency on white."""
    if image.mode in WIDE:
        image = _from_16_bits(image)
    elif image.mode == "F":
        image = _from_float(image)
    rgb = _by_kind(image)
    rgb.info = {}
    return rgb


def _by_kind(image: Image.Image) -> Image.Image:
    if image.mode == "CMYK":
        return _from_cmyk(image)
    if image.mode == "LAB":
        return _by_profile(image, _built_in("LAB"))
    if image.has_transparency_data:
        return _on_white(image)
    return image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Keep each value's high byte. Pillow's own conversions clip, or scale, depending on mode and version."""
    wide = image.convert("I").convert("I;16")
    return Image.frombytes("L", wide.size, wide.tobytes()[1::2])


def _from_float(image: Image.Image) -> Image.Image:
    """Scale by the smallest usual full scale (1, 255, 65535) that holds the brightest pixel; clip what lies below 0."""
    _, peak = image.getextrema()
    assert isinstance(peak, float)
    full = next((scale for scale in FULL_SCALES if peak <= scale), peak)
    return image.point(lambda value: value * (255.0 / full) + 0.5).convert("L")


def _from_cmyk(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    try:
        return _by_profile(image, ImageCms.ImageCmsProfile(BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB")  # a broken profile, or one of another colour space


def _by_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(image, profile, _built_in("sRGB"), outputMode="RGB")
    assert converted is not None
    return converted


def _built_in(name: Literal["LAB", "sRGB"]) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, WHITE), layer).convert("RGB")
