from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tsukiji.curation.groups import DISTANCE
from tsukiji.vision.decoding.decode import probe
from tsukiji.vision.phash import PLAIN, phash


def scene(seed: int, side: int = 320) -> Image.Image:
    """A picture with large and small shapes, as photos have them: noise of falling strength at rising frequency."""
    random = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(random.normal(0, 1 / cells, (cells, cells, 3)).astype(np.float32)[..., 0]).resize(
                (side, side), Image.Resampling.BICUBIC
            )
        )
        for cells in (3, 6, 12, 24, 48)
    ]
    greys = sum(layers[1:], layers[0])
    scaled = 40 + 150 * (greys - greys.min()) / np.ptp(greys)
    return Image.merge("RGB", [Image.fromarray((scaled * part).astype(np.uint8)) for part in (1.0, 0.9, 0.7)])


def recompressed(picture: Image.Image) -> Image.Image:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=30)
    return Image.open(buffer)


CHANGES = {
    "half the size": lambda picture: picture.resize((160, 160)),
    "thumbnail": lambda picture: picture.resize((64, 64)),
    "larger": lambda picture: picture.resize((900, 900)),
    "squeezed": lambda picture: picture.resize((320, 240)),
    "recompressed": recompressed,
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.2),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.7),
    "more contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(1.2),
    "grey": lambda picture: picture.convert("L").convert("RGB"),
}


def bits_apart(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("seed", range(8))
def test_a_changed_copy_counts_as_the_same_picture(seed, change):
    assert bits_apart(phash(scene(seed)), phash(change(scene(seed)).convert("RGB"))) <= DISTANCE


def test_other_pictures_do_not():
    hashes = [phash(scene(seed, side=128)) for seed in range(40)]
    assert min(bits_apart(one, other) for n, one in enumerate(hashes) for other in hashes[:n]) > DISTANCE


def test_form_of_a_hash():
    assert len(phash(scene(1))) == 16
    assert int(phash(scene(1)), 16).bit_count() == 32


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 80, 40)])
def test_one_tone_has_a_hash_of_its_own(colour):
    picture = Image.new("RGB", (30, 20), colour)
    assert phash(picture) == PLAIN
    picture.putpixel((3, 3), (colour[0] ^ 8, *colour[1:]))
    assert phash(picture) == PLAIN


def test_intake_sees_the_picture_upright():
    upright, turned = BytesIO(), BytesIO()
    scene(2).save(upright, "PNG")
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(2).transpose(Image.Transpose.ROTATE_90).save(turned, "PNG", exif=exif)
    assert probe(turned.getvalue()).phash == probe(upright.getvalue()).phash == phash(scene(2))
