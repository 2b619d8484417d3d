"""`tsukiji datasets snapshot`, `snapshots`, `diff` and `export`: data sets as they stand and stood."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import typer

from tsukiji import types
from tsukiji.cli.options import DatasetName, Limit
from tsukiji.cli.output import FITS, AsJson, labels_of, print_fields, print_json, print_records, print_table
from tsukiji.client import Client, Snapshot

COLUMNS: Final[dict[str, Callable[[Snapshot], Any]]] = {
    "id": lambda snapshot: snapshot.id,
    "images": lambda snapshot: snapshot.images,
    "sha256": lambda snapshot: snapshot.sha256,
    "created": lambda snapshot: snapshot.created_at,
}
CHANGE_COLUMNS: Final[dict[str, Callable[[types.SnapshotChange], Any]]] = {
    "image": lambda row: row.name,
    "changes": lambda row: ", ".join(row.changes),
    "label": lambda row: arrow(labels_of(row.label_a, row.labels_a), labels_of(row.label_b, row.labels_b)),
    "split": lambda row: arrow(row.split_a, row.split_b),
}


def take_snapshot(dataset: DatasetName, as_json: AsJson = False) -> None:
    """Freeze the labelled images; an unchanged data set gives the same snapshot."""
    with Client() as client:
        found = client.datasets.get(dataset).snapshot()
    if as_json:
        print_json(found)
    else:
        print_fields({name: read(found) for name, read in COLUMNS.items()})


def list_snapshots(dataset: DatasetName, limit: Limit = None, as_json: AsJson = False) -> None:
    """List the snapshots of a data set, those of trainings included."""
    with Client() as client:
        print_records(client.datasets.get(dataset).snapshots(), COLUMNS, as_json, limit, FITS)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="Id of the earlier snapshot.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Id of the later snapshot.")],
    change: Annotated[
        types.ChangeKind | None, typer.Option("--only", help="List only images with this change, and all of them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the differences between two snapshots."""
    with Client() as client:
        if change:
            print_records(client.snapshots.changes(a, b, change), CHANGE_COLUMNS, as_json)
            return
        found = client.snapshots.compare(a, b)
        if as_json:
            found.data = [*client.snapshots.changes(a, b)] if found.has_more else found.data
            found.has_more, found.next_cursor = False, None
            print_json(found)
            return
        print_fields({kind: getattr(found, kind) for kind in (*get_args(types.ChangeKind), "unchanged")})
        rows = ([read(row) for read in CHANGE_COLUMNS.values()] for row in client.snapshots.changes(a, b))
        print_table(CHANGE_COLUMNS, rows, fits=FITS, rest="--only KIND lists all of one kind")


def export(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="Data set id or name, or snapshot id.")],
    target: Annotated[Path, typer.Option("-o", "--output", help="The file: .zip, .csv or .jsonl.")],
    wanted: Annotated[
        types.DatasetFormat | None,
        typer.Option("--format", help="By default from the file name's suffix; .zip is imagefolder."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Save a data set or a snapshot: class folders, Hugging Face's imagefolder, or a table."""
    with Client() as client:
        found = client.snapshots.get(name) if name.startswith("snp_") else client.datasets.get(name)
        path = found.download(target, wanted)
    if as_json:
        print_json({"id": found.id, "path": str(path), "bytes": path.stat().st_size})
    else:
        print_fields({"id": found.id, "path": path, "bytes": path.stat().st_size})


def arrow(before: str | None, after: str | None) -> str | None:
    return after if before == after else f"{before or '-'} -> {after or '-'}"
