"""Data on standard output, everything else on standard error. Knows no command.

On a terminal data are tables; in a pipe they are tab-separated lines with a header; with `--json` they are one JSON
object, or one on each line, in the shape of the API.
"""

import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Final, TypeVar

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from tsukiji.cli.short_ids import shortened

_is_quiet = False
R = TypeVar("R", bound=BaseModel)

FITS: Final = 50
"""Rows of a list that a terminal shows where no number was asked for."""
OUT: Final = Console(markup=False, highlight=False)
ERR: Final = Console(stderr=True, markup=False, highlight=False)


def _or_before(ctx: typer.Context, wanted: bool) -> bool:
    """Take `--json` from before the command as well."""
    return wanted or bool(ctx.find_root().params.get("as_json"))


AsJson = Annotated[bool, typer.Option("--json", callback=_or_before, help="Print only JSON, in the format of the API.")]


def labels_of(label: str | None, labels: list[str] | None) -> str | None:
    """Return the labels of an image in words; None of one that is unlabelled."""
    return label if label is not None or labels is None else ", ".join(labels) or "(none of the labels)"


def be_quiet(wanted: bool) -> None:
    """Say only what went wrong, from now on or no longer."""
    global _is_quiet
    _is_quiet = wanted


def is_quiet() -> bool:
    return _is_quiet


def note(text: str, style: str | None = None) -> None:
    """Print a line on standard error; one without a style, or in `dim`, is left out where quiet is wanted."""
    if _is_quiet and style in {None, "dim"}:
        return
    ERR.print(text, style=style, soft_wrap=True)


def suggest(*words: str) -> None:
    """Print the command that comes next, where a person reads along."""
    if ERR.is_terminal:
        note(f"next: {shlex.join(['tsukiji', *words])}", style="dim")


def print_json(record: BaseModel | Mapping[str, Any]) -> None:
    typer.echo(record.model_dump_json() if isinstance(record, BaseModel) else json.dumps(record))


def print_records(
    records: Iterable[R],
    columns: Mapping[str, Callable[[R], Any]],
    as_json: bool,
    limit: int | None = None,
    fits: int | None = None,
) -> None:
    """Print a list, each record as it comes where it can be.

    Args:
        records: what is listed.
        columns: what a table shows of each.
        as_json: a line of JSON for each instead.
        limit: as many as were asked for; None: all.
        fits: how many a terminal shows where no number was asked for; None: all. A list that is piped is never cut.
    """
    if as_json:
        for record in islice(records, limit):
            print_json(record)
        return
    rows = ([read(record) for read in columns.values()] for record in records)
    print_table(columns, rows, limit=limit, fits=fits)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print one thing, a line for each of its facts."""
    if not OUT.is_terminal:
        for name, value in fields.items():
            typer.echo(f"{name}\t{text(value)}")
        return
    grid = Table.grid(padding=(0, 2))
    for name, value in fields.items():
        grid.add_row(name, text(value))
    OUT.print(grid)


def print_table(
    columns: Iterable[str],
    rows: Iterable[Iterable[Any]],
    to: Console = OUT,
    *,
    limit: int | None = None,
    fits: int | None = None,
    rest: str | None = "--limit N shows N",
) -> None:
    """Print rows under their columns; `limit` and `fits` as `print_records` takes them, `rest` says how to see more."""
    if to is OUT and not OUT.is_terminal:
        typer.echo("\t".join(columns))
        for row in islice(rows, limit):
            typer.echo("\t".join(text(cell) for cell in row))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")  # a narrow terminal too shows whole names
    shown, waiting = limit or fits, iter(rows)
    cells = [[text(cell) for cell in row] for row in islice(waiting, shown)]
    short = shortened([cell for row in cells for cell in row])
    for row in cells:
        table.add_row(*(short.get(cell, cell) for cell in row))
    to.print(table)
    if next(waiting, None) is not None:
        note(f"The first {shown} are shown; {f'{rest}, and ' if rest else ''}a pipe or a file gets all.")


def text(value: Any) -> str:
    """Write a value as a person reads it: times in local time, three decimals, nothing as a dash."""
    match value:
        case None | "":
            return "-"
        case datetime():
            return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        case float():
            return f"{value:.1g}" if 0 < abs(value) < 0.0005 else f"{value:.3f}"
        case dict():
            return ", ".join(f"{name} {text(item)}" for name, item in value.items()) or "-"
        case list():
            return ", ".join(text(item) for item in value) or "-"
        case _:
            return str(value).translate(CONTROL)


CONTROL: Final = dict.fromkeys([*range(32), *range(127, 160)], "�")
"""Names come from strangers' archives: no tab may break a line of data, no escape may reach the terminal."""
