"""`tsukiji datasets import`: pictures from a folder, an archive, a table or the service's own disk."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, get_args

import typer
from pydantic import ValidationError

from tsukiji import types
from tsukiji.cli.options import Encoding, FailOnItemError, Timeout
from tsukiji.cli.outcomes import ExitCode
from tsukiji.cli.output import AsJson, note, print_json, suggest
from tsukiji.cli.report import show_dataset
from tsukiji.cli.verdicts import check_target, save
from tsukiji.cli.waiting import bar, sending, wait
from tsukiji.client import APIStatusError, Client, Dataset, Import, JobFailedError, NotFoundError
from tsukiji.client._files import files_below
from tsukiji.ingest.importers import may_be_table
from tsukiji.ingest.skipped import SkippedFiles

REJECTED_SHOWN: Final = 20
COLUMNS: Final = ", ".join(get_args(types.Column))


def import_pictures(
    name: Annotated[str, typer.Option("--name", help="The data set; created if it does not exist.")],
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PATH]", exists=True, help="A folder, a zip or tar, or a table that names the pictures."
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Instead: URL of a folder or S3 prefix that the service may read.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            exists=True,
            dir_okay=False,
            help="Table of labels: CSV, JSON lines, or an export. By default one next to the pictures, else folders.",
        ),
    ] = None,
    wanted: Annotated[
        types.ImportFormat, typer.Option("--format", help="Where the labels come from; detected by default.")
    ] = "auto",
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            help=f"Of a table: label=species. Known are {COLUMNS}. Several of 0 and 1: label=ant --column label=bee.",
        ),
    ] = None,
    separator: Annotated[
        str | None, typer.Option("--separator", help="Separator of several labels in one cell; | or ; by default.")
    ] = None,
    folder: Annotated[
        list[str] | None,
        typer.Option(
            "--folder",
            metavar="NAME=ROLE",
            help="Role of a folder: label, train, valid, test or none. Inferred from names by default.",
        ),
    ] = None,
    kind: Annotated[
        types.Kind | None,
        typer.Option(
            "--kind", help="Kind of a new data set; multi_label: an image may have several labels. One by default."
        ),
    ] = None,
    label: Annotated[str | None, typer.Option("--label", help="Label of pictures that no table gives one.")] = None,
    split: Annotated[
        types.Split | None, typer.Option("--split", help="Split of pictures that no table or folder gives one.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="One group for all: never on both sides of a split.")
    ] = None,
    encoding: Encoding = None,
    target: Annotated[
        Path | None, typer.Option("-o", "--output", help="Save the verdict on each file as .csv or .jsonl.")
    ] = None,
    timeout: Timeout = None,
    fail_on_item_error: FailOnItemError = False,
    as_json: AsJson = False,
) -> None:
    """Fill a data set: a picture's folder is its label; a folder train, valid or test above it is its split.

    Tables and exports of other tools also work. A second run sends only what is missing.
    """
    if (source is None) == (path is None):
        raise typer.BadParameter("Give a folder, an archive or a table, or --source.")
    check_target(target)
    options = read_options(wanted, column or [], separator, folder or [], label, split, group, encoding)
    if path is not None:
        check_not_empty(path)
    with Client() as client, to_fill(client, name, kind) as dataset:
        result = bring(dataset, path, source, table, target, timeout, options)
        tell(result, target)
        if as_json:
            print_json(result)
        else:
            show_dataset(dataset.refresh(), as_json)
    if fail_on_item_error and result.rejected:
        raise typer.Exit(ExitCode.ITEM_ERRORS)
    suggest("datasets", "check", name)


def check_not_empty(path: Path) -> None:
    """Raise ValueError for a folder without files, before anything is created for it."""
    passed = SkippedFiles()
    if path.is_dir() and not files_below(path, passed):
        raise ValueError(
            f"There are no files in {path}; nothing was sent, and no data set was created. {passed}".rstrip()
        )


def bring(
    dataset: Dataset,
    path: Path | None,
    source: str | None = None,
    table: Path | None = None,
    target: Path | None = None,
    timeout: float | None = None,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> types.UploadResult:
    """Import a folder, an archive, a table, or what is at `source`, and save the verdicts where they are wanted."""
    if path is not None and path.is_dir():
        result = upload(dataset, path, table=table, **options)
        save(result.files, target)
        return result
    job = start(dataset, path, source, table, options)
    result = finish(job, timeout)
    if target:
        job.download(target)
    return result


@contextmanager
def to_fill(client: Client, name: str, kind: types.Kind | None) -> Iterator[Dataset]:
    """Give the data set of this name; one that had to be made and got no picture is taken away again.

    Raises:
        typer.Exit: so it was.
    """
    is_there = any_named(client, name)
    dataset = client.datasets.create(name, kind=kind, exist_ok=True)
    try:
        yield dataset
    except (APIStatusError, JobFailedError, OSError, ValueError):
        if not is_there:
            drop_empty(dataset)
        raise
    if not is_there and drop_empty(dataset):
        note("No picture was accepted, so no data set was created.", style="red")
        raise typer.Exit(ExitCode.OTHER)


def any_named(client: Client, name: str) -> bool:
    try:
        client.datasets.get(name)
    except NotFoundError:
        return False
    return True


def drop_empty(dataset: Dataset) -> bool:
    """Delete the data set if it is empty; returns whether it was."""
    if dataset.refresh().images:
        return False
    dataset.delete()
    return True


def read_options(
    wanted: types.ImportFormat,
    columns: list[str],
    separator: str | None,
    folders: list[str],
    label: str | None,
    split: types.Split | None,
    group: str | None,
    encoding: str | None,
) -> dict[str, Any]:
    """Return the options that were given.

    Raises:
        typer.BadParameter: an option makes no sense.
    """
    named: dict[str, list[str]] = {}
    for column, _, theirs in (column.partition("=") for column in columns):
        named.setdefault(column, []).append(theirs)
    placement: dict[str, Any] = {
        "label": label,
        "split": split,
        "group": group,
        "separator": separator,
        "encoding": encoding,
    }
    given = placement | {"format": wanted, "columns": {name: one_or_all(theirs) for name, theirs in named.items()}}
    given["folders"] = {name: role for name, _, role in (folder.rpartition("=") for folder in folders)}
    try:
        options = types.ImportOptions.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise typer.BadParameter(f"{' '.join(map(str, first['loc']))}: {first['msg']}") from error
    return options.model_dump(exclude_defaults=True)


def one_or_all(names: list[str]) -> str | list[str]:
    return names[0] if len(names) == 1 else names


def start(
    dataset: Dataset, path: Path | None, source: str | None, table: Path | None, options: Mapping[str, Any]
) -> Import:
    if path is None:
        return dataset.import_source(source or "", table=table, **options)
    if may_be_table(path.name):
        if table is not None:
            raise typer.BadParameter(f"{path} is a table itself; give the pictures, and this file with --table.")
        return dataset.import_table(path, **options)
    with sending(path) as progress:
        return dataset.import_archive(path, progress, table=table, **options)


def upload(dataset: Dataset, folder: Path, **options: Any) -> types.UploadResult:
    with bar(f"upload {folder.name}") as line:
        return dataset.upload(folder, line.advance, **options)


def finish(job: Import, timeout: float | None) -> types.UploadResult:
    """Wait for the job; the files listed are those that were rejected."""
    wait(job, timeout).raise_for_status()
    return types.UploadResult.model_validate({**(job.result or {}), "files": list(job.items("rejected"))})


def tell(result: types.UploadResult, target: Path | None = None) -> None:
    note(f"{result.accepted} accepted, {result.duplicates} duplicates, {result.rejected} rejected")
    for warning in result.warnings:
        note(f"  {warning.get('detail')}", style="yellow")
    report_rejected(result.files)
    if target:
        note(f"saved {target}")


def report_rejected(files: list[types.FileVerdict]) -> None:
    rejected = [file for file in files if file.verdict == "rejected"]
    for file in rejected[:REJECTED_SHOWN]:
        reason = f"{file.error.code}: {file.error.detail or file.error.title}" if file.error else "rejected"
        note(f"  {file.name}: {reason}")
    if len(rejected) > REJECTED_SHOWN:
        note(f"  and {len(rejected) - REJECTED_SHOWN} more; -o FILE.csv saves them all")
