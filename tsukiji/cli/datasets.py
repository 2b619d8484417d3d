"""`tsukiji datasets`: make, fill, list and delete data sets."""

import sys
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import typer

from tsukiji import types
from tsukiji.cli import findings
from tsukiji.cli.outcomes import ExitCode
from tsukiji.cli.output import AsJson, note, print_fields, print_json, print_records, print_table
from tsukiji.cli.waiting import bar, sending, wait
from tsukiji.client import Client, Dataset, Import

app = typer.Typer(no_args_is_help=True, help="Folders of labelled pictures, held by the service.")

DatasetName = Annotated[str, typer.Argument(metavar="DATASET", help="Id or name of a data set.")]
FailOnItemError = Annotated[bool, typer.Option("--fail-on-item-error", help="Exit 8 when single images failed.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many to list, newest first.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
REJECTED_SHOWN: Final = 20


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="A name that is not taken yet.")],
    description: Annotated[str, typer.Option("--description")] = "",
    as_json: AsJson = False,
) -> None:
    """Make an empty data set."""
    with Client() as client:
        show_dataset(client.datasets.create(name, description), as_json)


@app.command("import")
def import_pictures(
    name: Annotated[str, typer.Option("--name", help="The data set to fill; made if there is none.")],
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER_OR_ARCHIVE]", exists=True, help="Class folders, or a zip or tar of them."),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="URL of a folder or S3 prefix that the service may read, instead.")
    ] = None,
    group: Annotated[str | None, typer.Option("--group", help="Of a folder: one group for all; never split.")] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds to wait for the job.")] = None,
    fail_on_item_error: FailOnItemError = False,
    as_json: AsJson = False,
) -> None:
    """Fill a data set: the folder of a picture is its label, train, valid or test above it its split.

    A second run sends only what is missing.
    """
    if (source is None) == (path is None):
        raise typer.BadParameter("Name a folder or an archive, or a --source.")
    if group and not (path and path.is_dir()):
        raise typer.BadParameter("Only a folder of this machine takes a --group.")
    with Client() as client:
        dataset = client.datasets.create(name, exist_ok=True)
        if path and path.is_dir():
            result = upload(dataset, path, group)
        else:
            result = finish(unpack(dataset, path) if path else dataset.import_source(source or ""), timeout)
        note(f"{result.accepted} accepted, {result.duplicates} already there, {result.rejected} rejected")
        report_rejected(result.files)
        if as_json:
            print_json(result)
        else:
            show_dataset(dataset.refresh(), as_json)
    if fail_on_item_error and result.rejected:
        raise typer.Exit(ExitCode.ITEM_ERRORS)


@app.command("ls")
def list_datasets(limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the data sets."""
    columns = {
        "id": lambda dataset: dataset.id,
        "name": lambda dataset: dataset.name,
        "images": lambda dataset: dataset.images,
        "labels": lambda dataset: len(labelled(dataset)),
        "created": lambda dataset: dataset.created_at,
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


def upload(dataset: Dataset, folder: Path, group: str | None = None) -> types.UploadResult:
    with bar(f"upload {folder.name}") as line:
        return dataset.upload(folder, line.advance, group=group)


def unpack(dataset: Dataset, archive: Path) -> Import:
    with sending(archive) as progress:
        return dataset.import_archive(archive, progress)


def finish(job: Import, timeout: float | None) -> types.UploadResult:
    wait(job, timeout).raise_for_status()
    return upload_result(job)


def upload_result(job: Import) -> types.UploadResult:
    """Put what became of an archive into the shape of an upload; the files listed are those that were rejected."""
    return types.UploadResult.model_validate({**(job.result or {}), "files": list(job.items("rejected"))})


def report_rejected(files: list[types.FileVerdict]) -> None:
    rejected = [file for file in files if file.verdict == "rejected"]
    for file in rejected[:REJECTED_SHOWN]:
        reason = f"{file.error.code}: {file.error.detail or file.error.title}" if file.error else "rejected"
        note(f"  {file.name}: {reason}")
    if len(rejected) > REJECTED_SHOWN:
        note(f"  and {len(rejected) - REJECTED_SHOWN} more; --json lists all")


def show_dataset(dataset: Dataset, as_json: bool) -> None:
    if as_json:
        print_json(dataset)
        return
    print_fields({"id": dataset.id, "name": dataset.name, "images": dataset.images, "created": dataset.created_at})
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
