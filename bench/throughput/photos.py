"""An endless supply of photos: the same pixels, in files with different bytes."""

import io
import itertools
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from bench.report import make_photos

START: Final = b"\xff\xd8"
COMMENT: Final = b"\xff\xfe"
QUALITY: Final = 90
LEAST_EACH: Final = 10
"""Photos of a class that is taught."""


def endless(photos: Sequence[Path], side: int | None = None) -> Iterator[bytes]:
    """Yield JPEG files, each with a comment (ITU T.81, B.2.4.5) that makes it the only one of its kind.

    With `side` the shorter side of each photo is brought to so many pixels first.
    """
    files = [_jpeg(photo, side) for photo in photos]
    for file in itertools.cycle(files):
        text = uuid.uuid4().bytes
        yield START + COMMENT + (len(text) + 2).to_bytes(2, "big") + text + file[len(START) :]


def write(photos: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """Write so many photos into a folder, which stands for their class."""
    paths = [folder / f"{number:06}.jpg" for number in range(count)]
    for path, file in zip(paths, endless(photos), strict=False):
        path.write_bytes(file)
    return paths


def pack(photos: Sequence[Path], count: int, archive: Path, side: int) -> Path:
    """Pack so many photos of `side` pixels into a zip."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for number, file in zip(range(count), endless(photos, side), strict=False):
            packed.writestr(f"{number:06}.jpg", file)
    return archive


def teach(photos: Sequence[Path], folder: Path, each: int) -> Path:
    """Write class folders to train on: `each` photos of each class that has enough of them, some as copies."""
    classes: dict[str, list[Path]] = {}
    for photo in photos:
        classes.setdefault(photo.parent.name, []).append(photo)
    enough = {name: found for name, found in classes.items() if len(found) >= LEAST_EACH}
    if len(enough) < 2:
        make_photos(folder, 2 * each)
        return folder
    for name, found in enough.items():
        (folder / name).mkdir(parents=True)
        write(found[:each], each, folder / name)
    return folder


def _jpeg(photo: Path, side: int | None) -> bytes:
    data = photo.read_bytes()
    if side is None and data.startswith(START):
        return data
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if side is not None:
        scale = side / min(image.size)
        image = image.resize((round(scale * image.width), round(scale * image.height)))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
