# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Rounds of suggestions: the job, and the piles that it made."""

from typing import Any

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._sync._bound import Resource
from tsukiji.client._sync._job import Job


class SuggestionJob(Job):
    @property
    def suggestions(self) -> types.Suggestions | None:
        """The piles and the accuracy, once it has succeeded; asks the service for the last round."""
        dataset_id: Any = (self.result or {}).get("dataset_id")
        if dataset_id is None:
            return None
        return self._transport.fetch(types.Suggestions, "GET", path("datasets", dataset_id, "suggestions"))


class SuggestionJobs(Resource):
    def get(self, job_id: str) -> SuggestionJob:
        return self._transport.fetch(SuggestionJob, "GET", path("suggestions", job_id))
