"""`tsukiji datasets`: make, list and delete data sets; `imports` fills them."""

import sys
from itertools import islice
from typing import Annotated

import typer

from tsukiji import types
from tsukiji.cli import findings
from tsukiji.cli.output import AsJson, note, print_fields, print_json, print_records, print_table
from tsukiji.client import Client, Dataset

app = typer.Typer(no_args_is_help=True, help="Folders of labelled pictures, held by the service.")

DatasetName = Annotated[str, typer.Argument(metavar="DATASET", help="Id or name of a data set.")]
FailOnItemError = Annotated[bool, typer.Option("--fail-on-item-error", help="Exit 8 when single images failed.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many to list, newest first.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="A name that is not taken yet.")],
    description: Annotated[str, typer.Option("--description")] = "",
    kind: Annotated[
        types.Kind | None,
        typer.Option("--kind", help="multi_label: an image may have several labels. By default one. It stays so."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an empty data set."""
    with Client() as client:
        show_dataset(client.datasets.create(name, description, kind=kind), as_json)


@app.command("ls")
def list_datasets(limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the data sets."""
    columns = {
        "id": lambda dataset: dataset.id,
        "name": lambda dataset: dataset.name,
        "images": lambda dataset: dataset.images,
        "labels": lambda dataset: len(labelled(dataset)),
        "created": lambda dataset: dataset.created_at,
        "kind": lambda dataset: dataset.kind,
    }
    with Client() as client:
        print_records(islice(client.datasets.list(), limit), columns, as_json)


@app.command("show")
def show(dataset: DatasetName, as_json: AsJson = False) -> None:
    """Show one data set and how many images each label has."""
    with Client() as client:
        show_dataset(client.datasets.get(dataset), as_json)


app.command("check")(findings.check)
app.command("dedupe")(findings.dedupe)


@app.command("rm")
def remove(dataset: DatasetName, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a data set and its images."""
    with Client() as client:
        found = client.datasets.get(dataset)
        confirm(f"Delete data set {found.name} with {found.images} images?", yes)
        found.delete()
    print_deleted(found.id, as_json)


def show_dataset(dataset: Dataset, as_json: bool) -> None:
    if as_json:
        print_json(dataset)
        return
    facts = {"id": dataset.id, "name": dataset.name, "kind": dataset.kind, "images": dataset.images}
    facts["excluded"] = dataset.excluded
    if dataset.kind == "multi_label":
        facts["none of these"] = dataset.none_of_these
    print_fields(facts | {"waiting for review": dataset.pending, "created": dataset.created_at})
    print_table(["label", "images"], [[row.label, row.images] for row in dataset.classes])


def labelled(dataset: types.Dataset) -> list[types.ClassCount]:
    return [row for row in dataset.classes if row.label is not None]


def confirm(question: str, yes: bool) -> None:
    """Ask a person; a script has to say `--yes`.

    Raises:
        typer.BadParameter: nobody is there to ask.
        typer.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{question} Say --yes: there is no terminal to ask on.")
    typer.confirm(question, abort=True, err=True)


def print_deleted(thing_id: str, as_json: bool) -> None:
    if as_json:
        print_json({"id": thing_id, "deleted": True})
    else:
        note(f"{thing_id} is deleted")
