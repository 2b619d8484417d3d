# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Imports of pictures into a data set, with the outcome of each file."""

import os
from pathlib import Path
from typing import ClassVar, Literal

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._sync._bound import Resource
from tsukiji.client._sync._downloads import save
from tsukiji.client._sync._job import Job
from tsukiji.client._sync._pages import Paged

Verdict = Literal["accepted", "duplicate", "rejected"]


class Import(Job):
    FORMATS: ClassVar = {".csv": "text/csv", ".jsonl": "application/jsonl"}

    def items(self, verdict: Verdict | None = None, *, error: str | None = None) -> Paged[types.FileVerdict]:
        """List the outcome of each file and line, optionally of one verdict, or one error code."""
        place = path("imports", self.id, "items")
        return self._transport.paged(place, types.FileVerdict.model_validate, verdict=verdict, error=error)

    def summary(self) -> types.ImportSummary:
        """Count the verdicts so far, and the reasons for rejections."""
        return self._transport.fetch(types.ImportSummary, "GET", path("imports", self.id, "summary"))

    def download(self, target: str | os.PathLike[str], verdict: Verdict | None = None) -> Path:
        """Save the outcome of each file in the format of the target's suffix: `.csv` or `.jsonl`.

        Raises:
            ValueError: another suffix.
        """
        kind = self.FORMATS.get(Path(target).suffix.lower())
        if kind is None:
            raise ValueError(f"{target}: verdicts can be saved as {', '.join(self.FORMATS)}")
        params = {"verdict": verdict} if verdict else {}
        return save(self._transport, path("imports", self.id, "results"), Path(target), kind, params)


class Imports(Resource):
    def get(self, job_id: str) -> Import:
        return self._transport.fetch(Import, "GET", path("imports", job_id))
