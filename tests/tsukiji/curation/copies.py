"""Pictures of several kinds, each unlike the others of its kind, and the ways in which one comes again."""

from collections.abc import Callable
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

Picture = Image.Image


def photo(seed: int) -> Picture:
    random = np.random.default_rng(seed)
    whole = np.zeros((120, 160, 3))
    for cells, strength in ((4, 90), (12, 60), (40, 50)):
        noise = random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        whole += strength / 200 * np.asarray(Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC), float)
    return Image.fromarray(whole.clip(0, 255).astype(np.uint8))


def figure(seed: int) -> Picture:
    """Return a written figure as small scans have it: one bent stroke, soft, all about alike."""
    random = np.random.default_rng(seed)
    picture = Image.new("L", (128, 128))
    draw = ImageDraw.Draw(picture)
    turns = np.linspace(0, 2 * np.pi * random.uniform(0.7, 1), 24)
    wide, high = random.uniform(22, 34), random.uniform(38, 48)
    bend = random.normal(0, 5, (4, 2))
    waves = np.stack([np.sin(turns * wave) for wave in (1, 2, 3, 4)], axis=1) @ bend
    points = np.stack([64 + wide * np.sin(turns), 64 - high * np.cos(turns)], axis=1) + waves
    draw.line([tuple(point) for point in points.tolist()], fill=255, width=int(random.integers(14, 20)), joint="curve")
    small = picture.resize((8, 8), Image.Resampling.BOX)
    return small.resize((32, 32), Image.Resampling.BICUBIC).convert("RGB")


def page(seed: int) -> Picture:
    """Return a scan of a page: lines of words on the same paper."""
    random = np.random.default_rng(seed)
    picture = Image.new("L", (300, 424), 248)
    write(ImageDraw.Draw(picture), random, (30, 30, 270, 390), 10)
    grain = np.asarray(picture) + random.normal(0, 3, (424, 300))
    return Image.fromarray(grain.clip(0, 255).astype(np.uint8)).convert("RGB")


def window(seed: int) -> Picture:
    """Return a screenshot: the same window with other words."""
    random = np.random.default_rng(seed)
    picture = Image.new("RGB", (480, 300), (40, 80, 120))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 480, 285), fill=(248, 248, 248))
    draw.rectangle((0, 0, 480, 14), fill=(205, 210, 220))
    draw.rectangle((0, 14, 90, 285), fill=(228, 232, 238))
    write(draw, random, (8, 22, 80, 275), 13)
    write(draw, random, (100, 22, 460, 275), 11)
    return picture


def write(draw: ImageDraw.ImageDraw, random: np.random.Generator, box: tuple[int, int, int, int], pitch: int) -> None:
    """Draw words as bars, which is what is left of them in a small copy."""
    left, upper, right, lower = box
    for y in range(upper, lower, pitch):
        x, end = left, right - int(random.exponential((right - left) / 6))
        while x < end and random.random() < 0.99:
            word = int(random.integers(4, 26))
            draw.rectangle((x, y, min(x + word, end), y + 3), fill=int(random.integers(20, 60)))
            x += word + 4


def encoded(picture: Picture, kind: str = "JPEG", **options: int) -> Picture:
    file = BytesIO()
    picture.save(file, kind, **options)
    return Image.open(file).convert("RGB")


KINDS: Final[dict[str, Callable[[int], Picture]]] = {
    "photos": photo,
    "figures": figure,
    "pages": page,
    "windows": window,
}
CHANGES: Final[dict[str, Callable[[Picture], Picture]]] = {
    "smaller": lambda picture: encoded(picture.resize((picture.width // 2, picture.height // 2)), quality=90),
    "recompressed": lambda picture: encoded(picture, quality=40),
    "brighter": lambda picture: encoded(ImageEnhance.Brightness(picture).enhance(1.25), quality=90),
    "darker": lambda picture: encoded(ImageEnhance.Brightness(picture).enhance(0.75), quality=90),
    "as webp": lambda picture: encoded(picture, "WEBP", quality=85),
}
"""What every kind is told again after."""


def cut(picture: Picture, part: float) -> Picture:
    """Return the picture without a part of its width and height, unevenly from its sides."""
    width, height = picture.size
    box = (round(width * part * 0.7), round(height * part * 0.2), round(width * (1 - part * 0.3)), height)
    return picture.crop((*box[:3], round(height * (1 - part * 0.8))))
