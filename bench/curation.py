"""Edits of many images and their undo: seconds on SQLite and, if given, on PostgreSQL.

    python -m bench.curation [--images 10000] [--postgres URL of an empty database] [--json]

The edits are typical: by a filter, by ids, with a different label for each image. After each undo every image is
compared with its original. There is no peer, because none can undo such an edit.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from bench.report import show
from db.curation import datasets, image_edits, revisions
from db.curation.datasets import NewImage
from db.models import Image, Revision
from db.session import Database, Session
from db.upgrade import upgrade
from tsukiji import types
from tsukiji.kernel.settings import DatabaseSettings, DataSettings, Settings

LABELS: Final = 20
PART: Final = 2000
FIELDS: Final = (Image.id, Image.label, Image.split, Image.crop, Image.excluded, Image.review)


def fill(database: Database, images: int, name: str = "curation") -> tuple[str, list[str]]:
    """Make a data set of rows without pictures; returns its id and the images' ids."""
    with database.transaction() as session:
        dataset_id = datasets.create(session, name).id
    ids: list[str] = []
    for start in range(0, images, PART):
        part = [
            NewImage(f"{n}.jpg", f"label-{n % LABELS}", None, f"{n:064x}", 500, 375, 30_000, "JPEG")
            for n in range(start, min(start + PART, images))
        ]
        with database.transaction() as session:
            ids += [image_id for image_id, _ in datasets.add_images(session, dataset_id, part)]
    return dataset_id, ids


def edits(ids: list[str]) -> dict[str, types.Act]:
    everything, crop = types.ImageFilter(), (10, 10, 400, 300)
    pairs = [types.LabelSuggestion(image=image_id, label=f"new-{n % LABELS}") for n, image_id in enumerate(ids)]
    return {
        "relabel_by_filter": types.Relabel(act="relabel", label="fish", filter=everything),
        "exclude_by_id": types.Exclude(act="exclude", images=ids),
        "crop_by_filter": types.SetCrop(act="crop", crop=crop, filter=everything),
        "accept_labels": types.AcceptLabels(act="accept_labels", labels=pairs),
    }


def measure_acts(database: Database, images: int = 10_000) -> dict[str, float]:
    """Return the seconds of each edit and its undo, and the longest: `act_seconds`, `undo_seconds`.

    Raises:
        RuntimeError: an undo was not exact.
    """
    dataset_id, ids = fill(database, images)
    figures: dict[str, float] = {}
    for name, act in edits(ids).items():
        before = state(database, dataset_id)

        def do(session: Session, act: types.Act = act) -> Revision:
            return image_edits.carry_out(session, dataset_id, act, most_labels=500)

        revision, figures[f"{name}_seconds"] = timed(database, do)
        if revision.images != images or state(database, dataset_id) == before:
            raise RuntimeError(f"{name} changed {revision.images} images")

        def take_back(session: Session, revision_id: str = revision.id) -> Revision:
            return revisions.undo(session, dataset_id, revision_id)

        _, figures[f"{name}_undo_seconds"] = timed(database, take_back)
        if state(database, dataset_id) != before:
            raise RuntimeError(f"the undo of {name} was not exact")
    undone = [value for name, value in figures.items() if name.endswith("_undo_seconds")]
    done = [value for name, value in figures.items() if not name.endswith("_undo_seconds")]
    return figures | {"act_seconds": max(done), "undo_seconds": max(undone)}


def undo_seconds(*, quick: bool) -> float:
    """Return the longest undo of 10,000 images (`quick`: 1,000) in SQLite."""
    return on(DatabaseSettings(), 1000 if quick else 10_000)["undo_seconds"]


def on(place: DatabaseSettings, images: int) -> dict[str, float]:
    """Measure on a new, empty database."""
    with tempfile.TemporaryDirectory(prefix="tsukiji-curation-") as folder:
        settings = Settings(data=DataSettings(dir=Path(folder)), database=place)
        upgrade(settings)
        database = Database(settings)
        try:
            return measure_acts(database, images)
        finally:
            database.close()


def timed(database: Database, act: Callable[[Session], Revision]) -> tuple[Revision, float]:
    began = time.perf_counter()
    with database.transaction() as session:
        revision = act(session)
    return revision, round(time.perf_counter() - began, 3)


def state(database: Database, dataset_id: str) -> set[tuple[Any, ...]]:
    with database.reading() as session:
        return {tuple(row) for row in session.execute(select(*FIELDS).where(Image.dataset_id == dataset_id))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--postgres", help="URL of an empty database")
    parser.add_argument("--quick", action="store_true", help="few images: shows that it works, measures little")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    images = min(options.images, 1000) if options.quick else options.images
    kinds = {"sqlite": DatabaseSettings()}
    if options.postgres:
        kinds["postgresql"] = DatabaseSettings(url=options.postgres)
    for kind, place in kinds.items():
        figures: dict[str, Any] = {"database": kind, "images": images, **on(place, images)}
        show(f"acts over {images} images in {kind}", figures, as_json=options.json)


if __name__ == "__main__":
    main()
