"""Evaluations: a model's metrics, its errors, and comparisons of two."""

from collections.abc import Mapping
from typing import Literal

import httpx2

from tsukiji import types
from tsukiji.client import _views as views
from tsukiji.client._base import path
from tsukiji.client._bound import Bound, Identified, Resource, id_of
from tsukiji.client._job import Job
from tsukiji.client._pages import Paged


class Comparison(types.Comparison):
    """Two evaluations on the images they share."""

    def _repr_html_(self) -> str:
        return views.comparison(self)


class Evaluation(Bound, types.Evaluation):
    def _repr_html_(self) -> str:
        return views.evaluation(self)

    def items(
        self,
        *,
        true_label: str | None = None,
        predicted_label: str | None = None,
        order: Literal["seq", "loss"] | None = None,
    ) -> Paged[types.EvaluationItem]:
        """List the pictures, or those of one cell of the confusion matrix; `order="loss"`: highest loss first."""
        return self._transport.paged(
            path("evaluations", self.id, "items"),
            types.EvaluationItem.model_validate,
            true=true_label,
            predicted=predicted_label,
            order=order,
        )

    def confusion_csv(self, *, normalise: bool = False) -> str:
        """Fetch the confusion matrix: counts, or fractions of each true label."""
        return self._confusion("confusion.csv", "text/csv", normalise).text

    def confusion_png(self, *, normalise: bool = False) -> bytes:
        return self._confusion("confusion.png", "image/png", normalise).content

    def _confusion(self, name: str, media_type: str, normalise: bool) -> httpx2.Response:
        params = {"normalise": "true"} if normalise else {}
        headers = {"Accept": media_type}
        return self._transport.request("GET", path("evaluations", self.id, name), params=params, headers=headers)


class EvaluationJob(Job):
    @property
    def evaluation(self) -> Evaluation | None:
        """The result, once the job has succeeded; makes a request."""
        evaluation_id = (self.result or {}).get("evaluation_id")
        return Evaluations(self._transport).get(evaluation_id) if evaluation_id else None


class Evaluations(Resource):
    def create(
        self,
        *,
        model: str | Identified,
        dataset: str | Identified,
        split: types.Split | None = None,
        deadline_seconds: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> EvaluationJob:
        """Start evaluating a model on the labelled images of a data set, or of one `split`."""
        asked = {
            "model": id_of(model),
            "dataset": id_of(dataset),
            "split": split,
            "deadline_seconds": deadline_seconds,
            "metadata": dict(metadata or {}),
        }
        response = self._transport.request(
            "POST", path("evaluations"), json={key: value for key, value in asked.items() if value is not None}
        )
        return EvaluationJob.bind(self._transport, response.json())

    def compare(self, a: str | Identified, b: str | Identified) -> Comparison:
        """Compare two evaluations on the images they share; differences are b minus a."""
        params = {"a": id_of(a), "b": id_of(b)}
        response = self._transport.request("GET", path("evaluations", "compare"), params=params)
        return Comparison.model_validate(response.json())

    def get(self, evaluation: str) -> Evaluation:
        return Evaluation.bind(self._transport, self._transport.request("GET", path("evaluations", evaluation)).json())

    def list(self, *, model: str | Identified | None = None, page_size: int | None = None) -> Paged[Evaluation]:
        return self._transport.paged(
            path("evaluations"),
            lambda data: Evaluation.bind(self._transport, data),
            model=None if model is None else id_of(model),
            limit=page_size,
        )
