"""Data sets: intake, analysis and lists, on photos with planted faults.

`near_duplicate_recall` and `near_duplicate_precision`: of planted copies (half the size, recompressed at quality 40,
slightly cropped, other brightness, other format), and of all pairs grouped together. `line_art_...`: the same for
scikit-learn's handwritten digits, which are all similar. `exact_duplicate_recall`: of repeated files.
`import_images_per_second`: small images in one zip, from the first byte sent to the end of the job;
`import_memory_mb`: growth of the API's process meanwhile. `interrupted_lost`, `interrupted_resent`: images missing, and
files sent again after confirmation, with the client killed ten times. `analysis_seconds`: of these images, with known
features; `analysis_incremental_seconds`: again with some more. `page_p95_ms`: of pages of a long list of images, on
SQLite and, if available, PostgreSQL. `undo_seconds`: of a bulk edit, from `bench.curation`.
"""

import argparse
import os
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from bench import curation
from bench.gathering import analysing, intake, interrupted, pages, plants
from bench.report import parse, pictures, show, weights_folder
from devtools.servers import Unavailable, postgres_database
from tsukiji import Client
from tsukiji.cli.embedded import service
from tsukiji.kernel import log
from tsukiji.kernel.settings import DatabaseSettings, DataSettings, LogSettings, Settings

PARTS: Final = ("plants", "intake", "interrupted", "pages", "undo")


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--photos", type=int, default=900, help="photos to plant duplicates among")
    parser.add_argument("--digits", type=int, default=1797, help="handwritten digits to plant duplicates among")
    parser.add_argument("--images", type=int, default=20_000, help="small images to import and analyse")
    parser.add_argument("--more", type=int, default=100, help="images that come after the first analysis")
    parser.add_argument("--interrupted", type=int, default=8000, help="images of the import whose client is killed")
    parser.add_argument("--listed", type=int, default=200_000, help="images in the list that is paged through")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="some parts")
    options = parser.parse_args()
    if options.quick:
        options.photos, options.images, options.interrupted, options.listed = 60, 600, 1500, 5000
        options.digits = 150
    log.configure(LogSettings(level="warning"), "datasets")
    with tempfile.TemporaryDirectory(prefix="tsukiji-datasets-") as scratch:
        figures = measure(options, Path(scratch))
    show("data sets", figures, as_json=options.json)


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    weights = weights_folder(options.weights, scratch / "weights") or made_up_weights(scratch / "weights")
    photos = pictures(options.data, options.photos, scratch / "photos")
    if {"plants", "intake", "interrupted"} & set(options.only):
        folder = scratch / "service"
        folder.mkdir()
        with service(folder) as client:
            figures |= with_service(options, client, photos, folder, weights)
    if "pages" in options.only:
        figures |= all_pages(options.listed, scratch)
    if "undo" in options.only:
        figures |= undo(quick=options.quick)
    return {**figures, "cpu_count": os.cpu_count()}


def made_up_weights(folder: Path) -> Path:
    """Return a folder with an invalid weights file: it is named, but never opened if all features are known."""
    folder.mkdir()
    (folder / "resnet34.safetensors").touch()
    os.environ["TSUKIJI_WEIGHTS_DIR"] = str(folder)
    return folder


def with_service(
    options: argparse.Namespace, client: Client, photos: list[Path], folder: Path, weights: Path
) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    if "plants" in options.only:
        figures |= plants.measure(client, photos, folder)
        figures |= plants.measure_line_art(client, options.digits, folder)
    if "intake" in options.only:
        archive = intake.small_archive(photos, options.images, folder / "many.zip")
        dataset, found = intake.measure(client, archive, options.images, folder)
        more = intake.small_archive(photos, options.more, folder / "more.zip", seed=1)
        figures |= found | analysing.measure(dataset, more, folder / "data", weights)
    if "interrupted" in options.only:
        archive = intake.small_archive(photos, options.interrupted, folder / "few.zip", seed=2)
        figures |= interrupted.measure(client, archive, folder)
    return figures


def all_pages(images: int, scratch: Path) -> dict[str, Any]:
    """Return the figures of both databases; the headline figure is the worse one."""
    figures = {}
    for kind, opened in (("sqlite", nullcontext(None)), ("postgresql", postgres_database())):
        try:
            with opened as url:
                data = DataSettings(dir=scratch / f"pages-{kind}")
                found = pages.measure(Settings(data=data, database=DatabaseSettings(url=url)), images)
        except Unavailable as error:
            figures[f"{kind}_left_out"] = str(error)
            continue
        figures |= {f"{name}_{kind}": value for name, value in found.items()}
    return {"page_p95_ms": max(value for name, value in figures.items() if name.startswith("page_p95")), **figures}


def undo(*, quick: bool) -> dict[str, Any]:
    return {"undo_seconds": curation.undo_seconds(quick=quick)}


if __name__ == "__main__":
    main()
