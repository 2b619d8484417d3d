"""What other commands print with `--json`, read again as JSON lines. Knows no command."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import typer

from tsukiji.json_input import read_json

STDIN: Final = Path("-")

Group = tuple[str, list[str]]
"""The id of the image to keep, and the ids of all."""


def read_labels(file: Path) -> dict[str, str | list[str]]:
    """Return the new label, or labels, of each image: what is suggested, or else its own.

    Lines of images that are gone, and such that name no label at all, are left out.

    Raises:
        BadParameter: a line is neither a suspect nor a finding nor an image.
    """
    found = ((record["image_id"], wanted(record)) for record in read_lines(file, labelled, "image_id and label"))
    return {image: label for image, label in found if image and label is not None}


def read_groups(file: Path) -> list[Group]:
    """Return groups of images that look the same: as groups, or as one finding of near-duplicates for each image.

    Raises:
        BadParameter: a line is neither.
    """
    groups: list[Group] = []
    findings: dict[str, Group] = {}
    for record in read_lines(file, grouped, "keep and images"):
        if "images" in record:
            groups.append(
                (record["keep"], [image if isinstance(image, str) else image["image_id"] for image in record["images"]])
            )
        else:
            findings.setdefault(record["group"], (record["suggestion"]["keep"], []))[1].append(record["image_id"])
    return [*groups, *findings.values()]


def labelled(record: dict[str, Any]) -> dict[str, Any] | None:
    """Return a record with `image_id`, and with a label of its own or a suggested one; None where it has none."""
    if record.get("object") == "image" and "image_id" not in record:
        record = record | {"image_id": record.get("id")}
    return record if record.keys() >= {"image_id", "label"} else None


def grouped(record: dict[str, Any]) -> dict[str, Any] | None:
    match record:
        case {"keep": str(), "images": list(images)}:
            fine = all(isinstance(image, str) or (isinstance(image, dict) and "image_id" in image) for image in images)
            return record if fine else None
        case {"group": str(), "image_id": str(), "suggestion": {"keep": str()}}:
            return record
    return None


def wanted(record: dict[str, Any]) -> Any:
    """Return the first of these members that holds something; an empty list of labels does."""
    suggestion = record.get("suggestion") or {}
    names = ("suggested_label", "suggested_labels", "label", "labels")
    members = [suggestion.get("label"), suggestion.get("labels"), *map(record.get, names)]
    return next((member for member in members if member is not None), None)


def read_lines(
    file: Path, read: Callable[[dict[str, Any]], dict[str, Any] | None], members: str
) -> Iterator[dict[str, Any]]:
    """Yield what `read` makes of each line that is not empty; `-` is standard input.

    Raises:
        BadParameter: a line is no object, or `read` makes nothing of it.
    """
    lines = (sys.stdin.read() if file == STDIN else file.read_text("utf-8")).splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = read_json(line)
        except ValueError:
            record = None
        record = read(record) if isinstance(record, dict) else None
        if record is None:
            raise typer.BadParameter(f"{file}, line {number}: not a JSON object with {members}")
        yield record
