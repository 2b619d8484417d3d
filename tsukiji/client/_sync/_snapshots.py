# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Snapshots of data sets, and their differences."""

import os
from pathlib import Path
from typing import Final

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._sync._bound import Bound, Identified, Resource, id_of
from tsukiji.client._sync._downloads import save
from tsukiji.client._sync._pages import Paged
from tsukiji.client._sync._transport import Transport

MEDIA_TYPES: Final[dict[types.DatasetFormat, str]] = {
    "imagefolder": "application/zip",
    "huggingface": "application/zip",
    "csv": "text/csv",
    "jsonl": "application/jsonl",
}


class Snapshot(Bound, types.Snapshot):
    def download(self, target: str | os.PathLike[str], format: types.DatasetFormat | None = None) -> Path:  # noqa: A002
        """Save it; see `Dataset.download`."""
        return download(self._transport, path("snapshots", self.id, "export"), Path(target), format)


class Snapshots(Resource):
    def get(self, snapshot: str) -> Snapshot:
        return self._transport.fetch(Snapshot, "GET", path("snapshots", snapshot))

    def compare(self, a: str | Identified, b: str | Identified) -> types.SnapshotComparison:
        """Count the changes from snapshot a to snapshot b; `data` holds the first images, `changes` lists all."""
        params = {"a": id_of(a), "b": id_of(b)}
        return self._transport.fetch(types.SnapshotComparison, "GET", path("snapshots", "compare"), params=params)

    def changes(
        self, a: str | Identified, b: str | Identified, change: types.ChangeKind | None = None
    ) -> Paged[types.SnapshotChange]:
        """List the images that differ, or those that were `added`, `removed`, `relabelled`, `resplit`, `recropped`."""
        read = types.SnapshotChange.model_validate
        return self._transport.paged(path("snapshots", "compare"), read, a=id_of(a), b=id_of(b), change=change)


def download(transport: Transport, place: str, target: Path, wanted: types.DatasetFormat | None) -> Path:
    """Save an export; by default the target's suffix gives the format.

    Raises:
        ValueError: the suffix gives none.
    """
    chosen = wanted or format_of(target)
    return save(transport, place, target, MEDIA_TYPES[chosen], {"format": chosen})


def format_of(target: Path) -> types.DatasetFormat:
    match target.suffix.lower():
        case ".zip":
            return "imagefolder"
        case ".csv":
            return "csv"
        case ".jsonl":
            return "jsonl"
    raise ValueError(f"{target.name}: the format is only known for .zip, .csv or .jsonl; give `format`")
