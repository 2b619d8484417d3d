# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""All jobs in one list, each record with the handle of its kind."""

from typing import Any, Final

from tsukiji.client._base import path
from tsukiji.client._sync._batches import Batch
from tsukiji.client._sync._bound import Resource
from tsukiji.client._sync._imports import Import
from tsukiji.client._sync._job import Job
from tsukiji.client._sync._pages import Paged
from tsukiji.client._sync._trainings import Training

HANDLE_OF: Final[dict[str, type[Job]]] = {"training": Training, "batch": Batch, "import": Import}


class Jobs(Resource):
    def get(self, job_id: str) -> Job:
        return self._bind(self._transport.json("GET", path("jobs", job_id)))

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; a finished one is returned as it is."""
        return self._bind(self._transport.json("POST", path("jobs", job_id, "cancel")))

    def delete(self, job_id: str) -> None:
        """Delete the results and pictures of a finished batch, prediction or evaluation; its record is kept."""
        self._transport.request("DELETE", path("jobs", job_id))

    def list(self, *, kind: str | None = None, status: str | None = None, page_size: int | None = None) -> Paged[Job]:
        return self._transport.paged(path("jobs"), self._bind, kind=kind, status=status, limit=page_size)

    def _bind(self, data: Any) -> Job:
        return HANDLE_OF.get(data["object"], Job).bind(self._transport, data)
