# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Analyses of data sets: the job, and its results."""

from typing import Any

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._sync._bound import Resource
from tsukiji.client._sync._job import Job


class AnalysisJob(Job):
    @property
    def analysis(self) -> types.Analysis | None:
        """The results as numbers, once the job has succeeded; makes a request."""
        dataset_id: Any = (self.result or {}).get("dataset_id")
        if dataset_id is None:
            return None
        return self._transport.fetch(types.Analysis, "GET", path("datasets", dataset_id, "analysis"))


class Analyses(Resource):
    def get(self, job_id: str) -> AnalysisJob:
        return self._transport.fetch(AnalysisJob, "GET", path("analyses", job_id))
