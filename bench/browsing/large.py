"""A data set of many pictures, put into a service's rows and store: sending them would take longer than the bench."""

import io
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from db.curation import datasets
from db.curation.datasets import NewImage
from db.session import Database
from tsukiji.kernel.settings import DataSettings, Settings
from tsukiji.kernel.storage import BlobStore, open_store

LABELS: Final = 100
LOOKS: Final = 50
SIDE: Final = 192
PART: Final = 1000
COMMENT: Final = b"\xff\xfe"


def fill(data_dir: Path, images: int) -> str:
    """Add a data set `large` of this many pictures of `LABELS` labels; returns its id."""
    settings = Settings(data=DataSettings(dir=data_dir))
    store, database = open_store(settings), Database(settings)
    looks = [draw(number) for number in range(LOOKS)]
    with database.transaction() as session:
        dataset = datasets.create(session, "large").id
    for start in range(0, images, PART):
        rows = [put(store, looks, number) for number in range(start, min(start + PART, images))]
        with database.transaction() as session:
            datasets.add_images(session, dataset, rows)
    database.close()
    return dataset


def draw(number: int) -> bytes:
    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def put(store: BlobStore, looks: list[bytes], number: int) -> NewImage:
    """Store a picture that no other equals, by a comment in it."""
    look, words = looks[number % LOOKS], f"{number:08}".encode()
    blob = store.put([look[:2] + COMMENT + (len(words) + 2).to_bytes(2, "big") + words + look[2:]])
    label = f"label-{number % LABELS:02}"
    return NewImage(f"{number:06}.jpg", label, None, blob.sha256, SIDE, SIDE, blob.size, "JPEG")
