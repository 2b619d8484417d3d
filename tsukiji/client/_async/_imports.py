"""Imports of pictures into a data set, with the outcome of each file."""

import os
from pathlib import Path
from typing import ClassVar, Literal

from tsukiji import types
from tsukiji.client._async._bound import Resource
from tsukiji.client._async._downloads import save
from tsukiji.client._async._job import AsyncJob
from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._base import path

Verdict = Literal["accepted", "duplicate", "rejected"]


class AsyncImport(AsyncJob):
    FORMATS: ClassVar = {".csv": "text/csv", ".jsonl": "application/jsonl"}

    def items(self, verdict: Verdict | None = None, *, error: str | None = None) -> AsyncPaged[types.FileVerdict]:
        """List the outcome of each file and line, optionally of one verdict, or one error code."""
        place = path("imports", self.id, "items")
        return self._transport.paged(place, types.FileVerdict.model_validate, verdict=verdict, error=error)

    async def summary(self) -> types.ImportSummary:
        """Count the verdicts so far, and the reasons for rejections."""
        return await self._transport.fetch(types.ImportSummary, "GET", path("imports", self.id, "summary"))

    async def download(self, target: str | os.PathLike[str], verdict: Verdict | None = None) -> Path:
        """Save the outcome of each file in the format of the target's suffix: `.csv` or `.jsonl`.

        Raises:
            ValueError: another suffix.
        """
        kind = self.FORMATS.get(Path(target).suffix.lower())
        if kind is None:
            raise ValueError(f"{target}: verdicts can be saved as {', '.join(self.FORMATS)}")
        params = {"verdict": verdict} if verdict else {}
        return await save(self._transport, path("imports", self.id, "results"), Path(target), kind, params)


class Imports(Resource):
    async def get(self, job_id: str) -> AsyncImport:
        return await self._transport.fetch(AsyncImport, "GET", path("imports", job_id))
