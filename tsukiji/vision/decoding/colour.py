"""Any of Pillow's 8-bit modes to RGB on white."""

from io import BytesIO
from typing import Final, Literal

from PIL import Image, ImageCms

WHITE: Final = (255, 255, 255, 255)
STRIP: Final = 2**20
"""Pixels composited at a time."""


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the picture in RGB, without metadata: CMYK converted by its profile, transparency on white.

    It is the same object if its pixels are RGB already.
    """
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
    return image if image.mode == "RGB" else image.convert("RGB")


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
    """Composite some rows at a time: layer and background take three times the picture's memory."""
    found = Image.new("RGB", image.size)
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        part = image.crop((0, top, image.width, min(image.height, top + rows)))
        layer = (part.convert("LA") if part.mode == "La" else part).convert("RGBA")
        found.paste(Image.alpha_composite(Image.new("RGBA", layer.size, WHITE), layer).convert("RGB"), (0, top))
    return found
