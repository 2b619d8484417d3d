"""What became of each file of a folder, saved as the service saves it for an import."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import typer

from tsukiji import types
from tsukiji.cli.files import written
from tsukiji.labels import cell, join_labels
from tsukiji.spreadsheets import harmless

COLUMNS: Final = ("name", "verdict", "label", "image_id", "error", "line", "detail", "hint")


def check_target(target: Path | None) -> None:
    """Raise typer.BadParameter before anything is sent."""
    if target and target.suffix.lower() not in {".csv", ".jsonl"}:
        raise typer.BadParameter(f"{target}: verdicts can be saved as .csv or .jsonl.")


def save(files: Iterable[types.FileVerdict], target: Path | None) -> None:
    if target is None:
        return
    with written(target) as file:
        if target.suffix.lower() == ".jsonl":
            file.writelines(f"{verdict.model_dump_json()}\n" for verdict in files)
            return
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(cells(verdict) for verdict in files)


def cells(verdict: types.FileVerdict) -> list[str | int | None]:
    error = verdict.error
    label = verdict.label if verdict.label or verdict.labels is None else cell(join_labels(verdict.labels))
    told = [error.code, (error.model_extra or {}).get("line"), error.detail, error.hint] if error else [None] * 4
    return [harmless(value) for value in (verdict.name, verdict.verdict, label, verdict.image_id, *told)]
