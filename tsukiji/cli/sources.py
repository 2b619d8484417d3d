"""What `tsukiji train FOLDER` imports before it trains: which words are paths, and what the data set is named."""

import os
import shlex
from pathlib import Path
from typing import Final

import typer

from tsukiji.cli.imports import bring, check_not_empty, tell, to_fill
from tsukiji.cli.options import confirm
from tsukiji.cli.output import note, text
from tsukiji.client import Client, Dataset, NotFoundError
from tsukiji.ingest.archives import HEAD_BYTES, begins_archive
from tsukiji.ingest.importers import may_be_table

ENDINGS: Final = (".tar.gz", ".tgz", ".tar", ".zip", ".tm")
LABELS_SHOWN: Final = 10


def source_of(word: str) -> Path | None:
    """Return the folder, archive or table that a word is the path of; None if it can only be a data set.

    Raises:
        typer.BadParameter: it is a path, and nothing that can be imported is there.
    """
    path = Path(word).expanduser()
    if path.is_dir() or (path.is_file() and (is_archive(path) or may_be_table(path.name))):
        return path
    if os.sep in word:  # no name of a data set has one
        raise typer.BadParameter(
            f"{word} is no folder, archive or table." if path.exists() else f"There is no folder or file {word}."
        )
    return None


def is_archive(path: Path) -> bool:
    if path.name.lower().endswith(ENDINGS):
        return True
    with path.open("rb") as file:
        return begins_archive(file.read(HEAD_BYTES))


def name_of(path: Path) -> str:
    """Return the name of a folder, or that of a file without its suffix."""
    name = path.resolve().name
    if path.is_dir():
        return name
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), path.suffix)
    return name[: -len(ending)] if ending else name


def import_source(client: Client, path: Path, *, yes: bool, timeout: float | None) -> Dataset:
    """Import pictures into the data set that is named after their folder or file; only what is new is sent.

    Raises:
        typer.BadParameter: a data set of this name holds other pictures, and there is no terminal to ask on.
        typer.Abort: the answer is no.
    """
    check_not_empty(path)
    name = name_of(path)
    check_same(client, name, path, yes)
    with to_fill(client, name, None) as dataset:
        result = bring(dataset, path, timeout=timeout)
        tell(result)
    counts = [f"{text(row.label or '(no label)')} {row.images}" for row in dataset.refresh().classes]
    more = f" and {len(counts) - LABELS_SHOWN} more" if len(counts) > LABELS_SHOWN else ""
    note(f"data set {text(name)}: {dataset.images} images; {', '.join(counts[:LABELS_SHOWN])}{more}")
    return dataset


def check_same(client: Client, name: str, path: Path, yes: bool) -> None:
    """Ask before pictures are added to a data set that has the name by chance: one that has none of the folder's.

    What an archive or a table holds is known only to the service, so one is always asked about.
    """
    try:
        found = client.datasets.get(name)
    except NotFoundError:
        return
    if not found.images or (path.is_dir() and found.holds_some_of(path)):
        return
    other = f"tsukiji datasets import {shlex.quote(str(path))} --name OTHER"
    note(f"To keep them apart: `{other}`, then `tsukiji train OTHER`.")
    note(f"To train without {path}: `tsukiji train {found.id}`.")
    common = "none of these pictures" if path.is_dir() else "perhaps other pictures"
    confirm(f"There is already a data set {name} with {found.images} images and {common}. Add {path} to it?", yes)
