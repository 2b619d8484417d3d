"""Rounds of suggestions: the job, and the piles that it made."""

from typing import Any

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._bound import Resource
from tsukiji.client._job import Job


class SuggestionJob(Job):
    @property
    def suggestions(self) -> types.Suggestions | None:
        """The piles and the accuracy, once it has succeeded; asks the service for the last round."""
        dataset_id: Any = (self.result or {}).get("dataset_id")
        if dataset_id is None:
            return None
        found = self._transport.request("GET", path("datasets", dataset_id, "suggestions")).json()
        return types.Suggestions.model_validate(found)


class SuggestionJobs(Resource):
    def get(self, job_id: str) -> SuggestionJob:
        return SuggestionJob.bind(self._transport, self._transport.request("GET", path("suggestions", job_id)).json())
