"""Imports: an archive of class folders on its way into a data set."""

from typing import Literal

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._bound import Resource
from tsukiji.client._job import Job
from tsukiji.client._pages import Paged


class Import(Job):
    def items(self, verdict: Literal["accepted", "duplicate", "rejected"] | None = None) -> Paged[types.FileVerdict]:
        """List what became of each entry of the archive."""
        return self._transport.paged(
            path("imports", self.id, "items"), types.FileVerdict.model_validate, verdict=verdict
        )


class Imports(Resource):
    def get(self, job_id: str) -> Import:
        return Import.bind(self._transport, self._transport.request("GET", path("imports", job_id)).json())
