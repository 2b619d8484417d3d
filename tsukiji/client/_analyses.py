"""Analyses of data sets: the job, and its results."""

from typing import Any

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._bound import Resource
from tsukiji.client._job import Job


class AnalysisJob(Job):
    @property
    def analysis(self) -> types.Analysis | None:
        """The results as numbers, once the job has succeeded; makes a request."""
        dataset_id: Any = (self.result or {}).get("dataset_id")
        if dataset_id is None:
            return None
        found = self._transport.request("GET", path("datasets", dataset_id, "analysis")).json()
        return types.Analysis.model_validate(found)


class Analyses(Resource):
    def get(self, job_id: str) -> AnalysisJob:
        return AnalysisJob.bind(self._transport, self._transport.request("GET", path("analyses", job_id)).json())
