"""Snapshots of data sets, and their differences."""

import os
from pathlib import Path
from typing import Final

from tsukiji import types
from tsukiji.client._async._bound import Bound, Identified, Resource, id_of
from tsukiji.client._async._downloads import save
from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._async._transport import Transport
from tsukiji.client._base import path

MEDIA_TYPES: Final[dict[types.DatasetFormat, str]] = {
    "imagefolder": "application/zip",
    "huggingface": "application/zip",
    "csv": "text/csv",
    "jsonl": "application/jsonl",
}


class AsyncSnapshot(Bound, types.Snapshot):
    async def download(self, target: str | os.PathLike[str], format: types.DatasetFormat | None = None) -> Path:  # noqa: A002
        """Save it; see `Dataset.download`."""
        return await download(self._transport, path("snapshots", self.id, "export"), Path(target), format)


class Snapshots(Resource):
    async def get(self, snapshot: str) -> AsyncSnapshot:
        return await self._transport.fetch(AsyncSnapshot, "GET", path("snapshots", snapshot))

    async def compare(self, a: str | Identified, b: str | Identified) -> types.SnapshotComparison:
        """Count the changes from snapshot a to snapshot b; `data` holds the first images, `changes` lists all."""
        params = {"a": id_of(a), "b": id_of(b)}
        return await self._transport.fetch(types.SnapshotComparison, "GET", path("snapshots", "compare"), params=params)

    def changes(
        self, a: str | Identified, b: str | Identified, change: types.ChangeKind | None = None
    ) -> AsyncPaged[types.SnapshotChange]:
        """List the images that differ, or those that were `added`, `removed`, `relabelled`, `resplit`, `recropped`."""
        read = types.SnapshotChange.model_validate
        return self._transport.paged(path("snapshots", "compare"), read, a=id_of(a), b=id_of(b), change=change)


async def download(transport: Transport, place: str, target: Path, wanted: types.DatasetFormat | None) -> Path:
    """Save an export; by default the target's suffix gives the format.

    Raises:
        ValueError: the suffix gives none.
    """
    chosen = wanted or format_of(target)
    return await save(transport, place, target, MEDIA_TYPES[chosen], {"format": chosen})


def format_of(target: Path) -> types.DatasetFormat:
    match target.suffix.lower():
        case ".zip":
            return "imagefolder"
        case ".csv":
            return "csv"
        case ".jsonl":
            return "jsonl"
    raise ValueError(f"{target.name}: the format is only known for .zip, .csv or .jsonl; give `format`")
