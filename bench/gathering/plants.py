"""Photos with planted duplicates: recall and precision."""

import io
import random
import zipfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageEnhance

from training.digits import write_digits
from tsukiji import Client
from tsukiji.client import Dataset, Import
from tsukiji.vision.decoding.decode import decode

LONGEST: Final = 500
SHARE: Final = 3
"""One in this many photos gets near-duplicates, another one exact ones."""
CUT: Final = 0.08
"""Most fraction of each side removed by a slight crop."""


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    return encoded(picture, "JPEG", quality=quality)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def cropped(picture: Image.Image, chance: random.Random) -> Image.Image:
    width, height = picture.size
    across, down = chance.uniform(CUT / 2, CUT), chance.uniform(CUT / 2, CUT)
    left, top = chance.uniform(0, across), chance.uniform(0, down)
    box = (left * width, top * height, (1 - across + left) * width, (1 - down + top) * height)
    return picture.crop(tuple(map(round, box)))  # type: ignore[arg-type]


Plant = Callable[[Image.Image, random.Random], bytes]
NEAR: Final[dict[str, Plant]] = {
    "resized": lambda photo, _: jpeg(photo.resize((max(64, photo.width // 2), max(64, photo.height // 2)))),
    "recompressed": lambda photo, _: jpeg(photo, 40),
    "cropped": lambda photo, chance: jpeg(cropped(photo, chance)),
    "brightness": lambda photo, chance: jpeg(ImageEnhance.Brightness(photo).enhance(chance.choice((0.75, 1.25)))),
    "format": lambda photo, _: encoded(photo, "WEBP", quality=85),
}


@dataclass
class Planted:
    """The archive's content, by name."""

    archive: Path
    origin: dict[str, int] = field(default_factory=dict)
    """The photo that each picture is made from."""
    near: dict[str, str] = field(default_factory=dict)
    """The planted near-duplicates, with the modification of each."""
    exact: list[str] = field(default_factory=list)


def plant(photos: Sequence[Path], target: Path) -> Planted:
    """Write an archive of photos, with copies of some."""
    planted, chance = Planted(target), random.Random(0)
    with zipfile.ZipFile(target, "w") as file:

        def add(name: str, data: bytes, number: int) -> str:
            file.writestr(name, data)
            planted.origin[name] = number
            return name

        for number, path in enumerate(photos):
            photo, label = decode(path.read_bytes()), path.parent.name
            photo.thumbnail((LONGEST, LONGEST))
            whole = jpeg(photo, 92)
            add(f"{label}/{number:05}.jpg", whole, number)
            if number % SHARE == 0:
                for kind, change in NEAR.items():
                    planted.near[add(f"{label}/{number:05}-{kind}.jpg", change(photo, chance), number)] = kind
            elif number % SHARE == 1:
                planted.exact.append(add(f"other/{number:05}-again.jpg", whole, number))
    return planted


def measure_line_art(client: Client, digits: int, scratch: Path) -> dict[str, Any]:
    """Return the same for handwritten digits, which are all similar."""
    write_digits(scratch / "digits")
    pictures = sorted((scratch / "digits").rglob("*.png"))
    found = measure(client, pictures[:: max(1, len(pictures) // digits)][:digits], scratch, "line-art")
    return {f"line_art_{name}": value for name, value in found.items()}


def measure(client: Client, photos: Sequence[Path], scratch: Path, name: str = "planted") -> dict[str, Any]:
    planted = plant(photos, scratch / f"{name}.zip")
    dataset = client.datasets.create(name)
    job = dataset.import_archive(planted.archive).wait()
    dataset.analyse().wait()
    return near_figures(dataset, planted) | exact_figures(dataset.refresh(), job, planted)


def near_figures(dataset: Dataset, planted: Planted) -> dict[str, Any]:
    groups: dict[str, list[str]] = defaultdict(list)
    for found in dataset.findings("near_duplicates"):
        groups[found.group or ""].append(found.name)
    home = {name: group for group, names in groups.items() for name in names}
    hits = {name: name in home and home[name] == home.get(first_of(name)) for name in planted.near}
    pairs = [pair for names in groups.values() for pair in combinations(names, 2)]
    right = sum(planted.origin[one] == planted.origin[other] for one, other in pairs)
    missed = [planted.near[name] for name, hit in hits.items() if not hit]
    return {
        "near_duplicate_recall": sum(hits.values()) / max(1, len(hits)),
        "near_duplicate_precision": right / max(1, len(pairs)),
        "near_duplicates_planted": len(hits),
        "near_duplicates_missed": {kind: missed.count(kind) for kind in NEAR},
        "photos": len(set(planted.origin.values())),
    }


def first_of(name: str) -> str:
    """Return the name of the photo itself."""
    return f"{name.rpartition('-')[0]}.jpg"


def exact_figures(dataset: Dataset, job: Import, planted: Planted) -> dict[str, Any]:
    """Count detected exact copies, and pictures stored more than once."""
    refused = {item.name for item in job.items("duplicate")}
    named = {row["name"] for found in dataset.findings("exact_duplicates") for row in (found.suggestion or {})["names"]}
    found = [name for name in planted.exact if name in refused and name in named]
    hashes = [picture.sha256 for picture in dataset.pictures()]
    return {
        "exact_duplicate_recall": len(found) / max(1, len(planted.exact)),
        "stored_twice": len(hashes) - len(set(hashes)),
    }
