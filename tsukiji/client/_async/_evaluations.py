"""Evaluations: a model's metrics, its errors, and comparisons of two."""

from collections.abc import Mapping
from typing import Literal

import httpx2

from tsukiji import types
from tsukiji.client import _views as views
from tsukiji.client._async._bound import Bound, Identified, Resource, id_of
from tsukiji.client._async._job import AsyncJob
from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._base import path
from tsukiji.client._records import Comparison


class AsyncEvaluation(Bound, types.Evaluation):
    def _repr_html_(self) -> str:
        return views.evaluation(self)

    def items(
        self,
        *,
        true_label: str | None = None,
        predicted_label: str | None = None,
        order: Literal["seq", "loss"] | None = None,
    ) -> AsyncPaged[types.EvaluationItem]:
        """List the pictures, or those of one cell of the confusion matrix; `order="loss"`: highest loss first."""
        return self._transport.paged(
            path("evaluations", self.id, "items"),
            types.EvaluationItem.model_validate,
            true=true_label,
            predicted=predicted_label,
            order=order,
        )

    async def confusion_csv(self, *, normalise: bool = False) -> str:
        """Fetch the confusion matrix: counts, or fractions of each true label."""
        response = await self._confusion("confusion.csv", "text/csv", normalise)
        return response.text

    async def confusion_png(self, *, normalise: bool = False) -> bytes:
        response = await self._confusion("confusion.png", "image/png", normalise)
        return response.content

    async def _confusion(self, name: str, media_type: str, normalise: bool) -> httpx2.Response:
        params = {"normalise": "true"} if normalise else {}
        headers = {"Accept": media_type}
        return await self._transport.request("GET", path("evaluations", self.id, name), params=params, headers=headers)


class AsyncEvaluationJob(AsyncJob):
    @property
    async def evaluation(self) -> AsyncEvaluation | None:
        """The result, once the job has succeeded; makes a request."""
        evaluation_id = (self.result or {}).get("evaluation_id")
        return await Evaluations(self._transport).get(evaluation_id) if evaluation_id else None


class Evaluations(Resource):
    async def create(
        self,
        *,
        model: str | Identified,
        dataset: str | Identified,
        split: types.Split | None = None,
        deadline_seconds: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> AsyncEvaluationJob:
        """Start evaluating a model on the labelled images of a data set, or of one `split`."""
        asked = {
            "model": id_of(model),
            "dataset": id_of(dataset),
            "split": split,
            "deadline_seconds": deadline_seconds,
            "metadata": dict(metadata or {}),
        }
        return await self._transport.fetch(
            AsyncEvaluationJob,
            "POST",
            path("evaluations"),
            json={key: value for key, value in asked.items() if value is not None},
        )

    async def compare(self, a: str | Identified, b: str | Identified) -> Comparison:
        """Compare two evaluations on the images they share; differences are b minus a."""
        params = {"a": id_of(a), "b": id_of(b)}
        return await self._transport.fetch(Comparison, "GET", path("evaluations", "compare"), params=params)

    async def get(self, evaluation: str) -> AsyncEvaluation:
        return await self._transport.fetch(AsyncEvaluation, "GET", path("evaluations", evaluation))

    def list(
        self, *, model: str | Identified | None = None, page_size: int | None = None
    ) -> AsyncPaged[AsyncEvaluation]:
        return self._transport.paged(
            path("evaluations"),
            lambda data: AsyncEvaluation.bind(self._transport, data),
            model=None if model is None else id_of(model),
            limit=page_size,
        )
