"""Trainings: a data set and a recipe in, a model out."""

from collections.abc import Mapping
from typing import Any, Self

from tsukiji import types
from tsukiji.client._async._bound import Identified, Resource, id_of
from tsukiji.client._async._evaluations import AsyncEvaluation, Evaluations
from tsukiji.client._async._job import AsyncJob
from tsukiji.client._async._models import AsyncModel, Models
from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._base import path


class AsyncTraining(AsyncJob):
    def metrics(self) -> AsyncPaged[types.EpochMetrics]:
        return self._transport.paged(path("trainings", self.id, "metrics"), types.EpochMetrics.model_validate)

    async def finish(self) -> Self:
        """Stop now and keep the best epoch so far, which `cancel` would discard."""
        return self._absorb(await self._transport.json("POST", path("trainings", self.id, "finish")))

    @property
    async def model(self) -> AsyncModel | None:
        """The trained model, once the job has succeeded; makes a request."""
        model_id = (self.result or {}).get("model_id")
        return await Models(self._transport).get(model_id) if model_id else None

    @property
    async def evaluation(self) -> AsyncEvaluation | None:
        """The model's evaluation on the held-out pictures, once the job has succeeded; makes a request."""
        evaluation_id = (self.result or {}).get("evaluation_id")
        return await Evaluations(self._transport).get(evaluation_id) if evaluation_id else None


class Trainings(Resource):
    async def create(
        self,
        dataset: str | Identified,
        recipe: types.Recipe | Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        unknown: str | Identified | None = None,
        resplit: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> AsyncTraining:
        """Start a training. Omitted recipe members get the service's defaults.

        `unknown` is a data set of other things, used to measure "none of these", not to train. Images keep the split
        of earlier trainings; `resplit` draws all splits again.
        """
        wanted = recipe.model_dump(exclude_unset=True) if isinstance(recipe, types.Recipe) else dict(recipe or {})
        asked = {
            "dataset": id_of(dataset),
            "recipe": wanted,
            "name": name,
            "unknown": None if unknown is None else id_of(unknown),
            "resplit": resplit or None,
            "metadata": dict(metadata or {}),
        }
        return await self._transport.fetch(
            AsyncTraining,
            "POST",
            path("trainings"),
            json={key: value for key, value in asked.items() if value is not None},
        )

    async def get(self, job_id: str) -> AsyncTraining:
        return await self._transport.fetch(AsyncTraining, "GET", path("trainings", job_id))

    def list(self, *, page_size: int | None = None) -> AsyncPaged[AsyncTraining]:
        return self._transport.paged(
            path("trainings"), lambda data: AsyncTraining.bind(self._transport, data), limit=page_size
        )
