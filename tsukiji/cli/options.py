"""Arguments and options that several commands share. Knows no command."""

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from tsukiji.cli.completion import complete_dataset, complete_model
from tsukiji.cli.output import FITS, note, print_json
from tsukiji.cli.short_ids import whole_id
from tsukiji.labels import clean_label, near_miss

DatasetName = Annotated[
    str,
    typer.Argument(metavar="DATASET", help="Data set id or name.", callback=whole_id, autocompletion=complete_dataset),
]
ModelName = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="Model id, alias or name.", callback=whole_id, autocompletion=complete_model),
]
BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="Id of a batch.", callback=whole_id)]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of a job.", callback=whole_id)]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="Encoding of the names in an old archive, such as cp932. Guessed by default.",
    ),
]
FailOnItemError = Annotated[bool, typer.Option("--fail-on-item-error", help="Exit with status 8 if any image failed.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, help=f"How many to list; all by default, {FITS} on a terminal."),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0, help="Seconds to wait; the job continues after that. No limit by default."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def check_label(label: str | None, known: Iterable[str | None]) -> None:
    """Raise typer.BadParameter where a list is asked for by a label that there is not: it would only be empty."""
    labels = [each for each in known if each is not None]
    if label is not None and label not in labels and clean_label(label) not in labels:
        raise typer.BadParameter(f"no label {label!r}. {near_miss(label, labels)}")


def confirm(question: str, yes: bool) -> None:
    """Ask a person; a script has to say `--yes`.

    Raises:
        typer.BadParameter: there is no terminal to ask.
        typer.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{question} Use --yes: there is no terminal to ask on.")
    typer.confirm(question, abort=True, err=True)


def print_deleted(thing_id: str, as_json: bool) -> None:
    if as_json:
        print_json({"id": thing_id, "deleted": True})
    else:
        note(f"deleted {thing_id}")
