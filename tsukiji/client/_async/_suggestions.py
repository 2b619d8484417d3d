"""Rounds of suggestions: the job, and the piles that it made."""

from typing import Any

from tsukiji import types
from tsukiji.client._async._bound import Resource
from tsukiji.client._async._job import AsyncJob
from tsukiji.client._base import path


class AsyncSuggestionJob(AsyncJob):
    @property
    async def suggestions(self) -> types.Suggestions | None:
        """The piles and the accuracy, once it has succeeded; asks the service for the last round."""
        dataset_id: Any = (self.result or {}).get("dataset_id")
        if dataset_id is None:
            return None
        return await self._transport.fetch(types.Suggestions, "GET", path("datasets", dataset_id, "suggestions"))


class SuggestionJobs(Resource):
    async def get(self, job_id: str) -> AsyncSuggestionJob:
        return await self._transport.fetch(AsyncSuggestionJob, "GET", path("suggestions", job_id))
