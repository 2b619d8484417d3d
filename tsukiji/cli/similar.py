"""`tsukiji datasets similar`: what looks most like a picture, and whether it is a new one."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tsukiji import types
from tsukiji.cli.options import DatasetName
from tsukiji.cli.output import AsJson, labels_of, print_fields, print_json, print_table
from tsukiji.client import Client

COLUMNS: Final[dict[str, Callable[[types.SimilarImage], Any]]] = {
    "similarity": lambda found: found.similarity,
    "image": lambda found: found.image.id,
    "name": lambda found: found.image.name,
    "label": lambda found: labels_of(found.image.label, found.image.labels),
}
IMAGE: Final = "img_"


def similar(
    dataset: DatasetName,
    picture: Annotated[str, typer.Argument(metavar="PICTURE", help="A file, or the id of an image.")],
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="How many images to find.")] = 12,
    image_size: Annotated[
        int | None, typer.Option("--image-size", help="Input size in pixels, as of `datasets check`; 224 by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the images that look most like a picture; a low known score means that nothing is like it."""
    with Client() as client:
        if Path(picture).is_file():
            found = client.similar(picture, dataset=dataset, limit=limit, image_size=image_size)
        elif picture.startswith(IMAGE):
            found = client.images.similar(picture, dataset=dataset, limit=limit, image_size=image_size)
        else:
            raise typer.BadParameter(f"{picture}: there is no such file, and ids of images begin with {IMAGE}")
    if as_json:
        print_json(found)
        return
    print_fields({"searched": found.searched, "missing": found.missing, "known score": found.known_score})
    print_table(list(COLUMNS), [[read(each) for read in COLUMNS.values()] for each in found.images])
