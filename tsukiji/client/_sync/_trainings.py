# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Trainings: a data set and a recipe in, a model out."""

from collections.abc import Mapping
from typing import Any, Self

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._sync._bound import Identified, Resource, id_of
from tsukiji.client._sync._evaluations import Evaluation, Evaluations
from tsukiji.client._sync._job import Job
from tsukiji.client._sync._models import Model, Models
from tsukiji.client._sync._pages import Paged


class Training(Job):
    def metrics(self) -> Paged[types.EpochMetrics]:
        return self._transport.paged(path("trainings", self.id, "metrics"), types.EpochMetrics.model_validate)

    def finish(self) -> Self:
        """Stop now and keep the best epoch so far, which `cancel` would discard."""
        return self._absorb(self._transport.json("POST", path("trainings", self.id, "finish")))

    @property
    def model(self) -> Model | None:
        """The trained model, once the job has succeeded; makes a request."""
        model_id = (self.result or {}).get("model_id")
        return Models(self._transport).get(model_id) if model_id else None

    @property
    def evaluation(self) -> Evaluation | None:
        """The model's evaluation on the held-out pictures, once the job has succeeded; makes a request."""
        evaluation_id = (self.result or {}).get("evaluation_id")
        return Evaluations(self._transport).get(evaluation_id) if evaluation_id else None


class Trainings(Resource):
    def create(
        self,
        dataset: str | Identified,
        recipe: types.Recipe | Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        unknown: str | Identified | None = None,
        resplit: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> Training:
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
        return self._transport.fetch(
            Training,
            "POST",
            path("trainings"),
            json={key: value for key, value in asked.items() if value is not None},
        )

    def get(self, job_id: str) -> Training:
        return self._transport.fetch(Training, "GET", path("trainings", job_id))

    def list(self, *, page_size: int | None = None) -> Paged[Training]:
        return self._transport.paged(
            path("trainings"), lambda data: Training.bind(self._transport, data), limit=page_size
        )
