"""`tsukiji datasets`: make, list and delete data sets; the commands that fill, change and export them are elsewhere."""

from typing import Annotated

import typer

from tsukiji import types
from tsukiji.cli import findings, fix, similar, snapshots, suggestions
from tsukiji.cli.imports import import_pictures
from tsukiji.cli.options import DatasetName, Limit, Yes, confirm, print_deleted
from tsukiji.cli.output import FITS, AsJson, print_records, suggest
from tsukiji.cli.report import labelled, show_dataset
from tsukiji.client import Client

app = typer.Typer(no_args_is_help=True, help="Labelled pictures that the service keeps.")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="A name that is not in use.")],
    description: Annotated[str, typer.Option("--description", help="Description; empty by default.")] = "",
    kind: Annotated[
        types.Kind | None,
        typer.Option(
            "--kind", help="multi_label: an image may have several labels; one by default. Cannot be changed later."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create an empty data set."""
    with Client() as client:
        show_dataset(client.datasets.create(name, description, kind=kind), as_json)
    suggest("datasets", "import", "FOLDER", "--name", name)


@app.command("ls")
def list_datasets(limit: Limit = None, as_json: AsJson = False) -> None:
    """List the data sets."""
    columns = {
        "name": lambda dataset: dataset.name,
        "images": lambda dataset: dataset.images,
        "labels": lambda dataset: len(labelled(dataset)),
        "created": lambda dataset: dataset.created_at,
        "kind": lambda dataset: dataset.kind,
        "id": lambda dataset: dataset.id,
    }
    with Client() as client:
        print_records(client.datasets.list(), columns, as_json, limit, FITS)


@app.command("show")
def show(dataset: DatasetName, as_json: AsJson = False) -> None:
    """Show one data set and how many images each label has."""
    with Client() as client:
        show_dataset(client.datasets.get(dataset), as_json)


@app.command("rm")
def remove(dataset: DatasetName, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a data set and its images."""
    with Client() as client:
        found = client.datasets.get(dataset)
        confirm(f"Delete data set {found.name} with {found.images} images?", yes)
        found.delete()
    print_deleted(found.id, as_json)


app.command("check")(findings.check)
app.command("dedupe")(findings.dedupe)
app.command("similar")(similar.similar)
app.command("suggest")(suggestions.suggest)
app.command("images")(fix.list_images)
app.command("fix")(fix.fix)
app.command("log")(fix.show_log)
app.command("snapshot")(snapshots.take_snapshot)
app.command("snapshots")(snapshots.list_snapshots)
app.command("diff")(snapshots.diff)
app.command("export")(snapshots.export)
app.command("import")(import_pictures)
