"""Analyses of data sets: the job, and its results."""

from typing import Any

from tsukiji import types
from tsukiji.client._async._bound import Resource
from tsukiji.client._async._job import AsyncJob
from tsukiji.client._base import path


class AsyncAnalysisJob(AsyncJob):
    @property
    async def analysis(self) -> types.Analysis | None:
        """The results as numbers, once the job has succeeded; makes a request."""
        dataset_id: Any = (self.result or {}).get("dataset_id")
        if dataset_id is None:
            return None
        return await self._transport.fetch(types.Analysis, "GET", path("datasets", dataset_id, "analysis"))


class Analyses(Resource):
    async def get(self, job_id: str) -> AsyncAnalysisJob:
        return await self._transport.fetch(AsyncAnalysisJob, "GET", path("analyses", job_id))
