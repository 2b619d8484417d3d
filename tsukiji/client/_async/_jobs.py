"""All jobs in one list, each record with the handle of its kind."""

from typing import Any, Final

from tsukiji.client._async._batches import AsyncBatch
from tsukiji.client._async._bound import Resource
from tsukiji.client._async._imports import AsyncImport
from tsukiji.client._async._job import AsyncJob
from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._async._trainings import AsyncTraining
from tsukiji.client._base import path

HANDLE_OF: Final[dict[str, type[AsyncJob]]] = {"training": AsyncTraining, "batch": AsyncBatch, "import": AsyncImport}


class Jobs(Resource):
    async def get(self, job_id: str) -> AsyncJob:
        return self._bind(await self._transport.json("GET", path("jobs", job_id)))

    async def cancel(self, job_id: str) -> AsyncJob:
        """Ask a job to stop; a finished one is returned as it is."""
        return self._bind(await self._transport.json("POST", path("jobs", job_id, "cancel")))

    async def delete(self, job_id: str) -> None:
        """Delete the results and pictures of a finished batch, prediction or evaluation; its record is kept."""
        await self._transport.request("DELETE", path("jobs", job_id))

    def list(
        self, *, kind: str | None = None, status: str | None = None, page_size: int | None = None
    ) -> AsyncPaged[AsyncJob]:
        return self._transport.paged(path("jobs"), self._bind, kind=kind, status=status, limit=page_size)

    def _bind(self, data: Any) -> AsyncJob:
        return HANDLE_OF.get(data["object"], AsyncJob).bind(self._transport, data)
