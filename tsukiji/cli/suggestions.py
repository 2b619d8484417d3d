"""`tsukiji datasets suggest`: sort unlabelled images into piles, and list what is in one."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from tsukiji import types
from tsukiji.cli.findings import ImageSize
from tsukiji.cli.options import DatasetName, Limit, Timeout
from tsukiji.cli.output import FITS, AsJson, note, print_fields, print_json, print_records, print_table
from tsukiji.cli.waiting import wait
from tsukiji.client import Client, Dataset

OnlyLast = Annotated[bool, typer.Option("--last", help="Show the last suggestions; do not start a new round.")]

COLUMNS: Final[dict[str, Callable[[types.SuggestedImage], Any]]] = {
    "image": lambda found: found.image_id,
    "name": lambda found: found.name,
    "label": lambda found: found.label,
    "score": lambda found: found.score,
}


def suggest(
    dataset: DatasetName,
    pile: Annotated[
        str | None, typer.Option("--pile", help="List the images of this pile; by default the piles are listed.")
    ] = None,
    last: OnlyLast = False,
    image_size: ImageSize = None,
    limit: Limit = None,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Sort unlabelled images into piles of one label each; `fix --relabel LABEL --pile PILE` accepts one."""
    with Client() as client:
        found = client.datasets.get(dataset)
        suggestions = suggested(found, last, image_size, timeout)
        if pile:
            print_records(found.suggested(pile), COLUMNS, as_json, limit, FITS)
        elif as_json:
            print_json(suggestions)
        else:
            print_suggestions(suggestions)


def suggested(dataset: Dataset, last: bool, image_size: int | None, timeout: float | None) -> types.Suggestions:
    """Return the suggestions: of a new round, or the last where that is asked for.

    Raises:
        JobError: it did not succeed, or not in time.
    """
    if not last:
        job = dataset.suggest(image_size=image_size)
        note(f"suggestions {job.id}")
        wait(job, timeout).raise_for_status()
    found = dataset.suggestions()
    if found is None:
        raise ValueError(f"nothing has been suggested for {dataset.name} yet; omit --last")
    return found


def print_suggestions(found: types.Suggestions) -> None:
    low, high = found.accuracy_interval or (None, None)
    accuracy = None if found.accuracy is None else f"{found.accuracy:.1%} ({low:.1%} to {high:.1%})"
    print_fields({"labelled": found.labelled, "unlabelled": found.unlabelled, "accuracy": accuracy})
    rows = [[pile.pile, pile.label, pile.images, pile.lowest_score] for pile in found.piles]
    print_table(["pile", "label", "images", "lowest score"], rows)
