# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Evaluations: a model's metrics, its errors, and comparisons of two."""

from collections.abc import Mapping
from typing import Literal

import httpx2

from tsukiji import types
from tsukiji.client import _views as views
from tsukiji.client._base import path
from tsukiji.client._records import Comparison
from tsukiji.client._sync._bound import Bound, Identified, Resource, id_of
from tsukiji.client._sync._job import Job
from tsukiji.client._sync._pages import Paged


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
        response = self._confusion("confusion.csv", "text/csv", normalise)
        return response.text

    def confusion_png(self, *, normalise: bool = False) -> bytes:
        response = self._confusion("confusion.png", "image/png", normalise)
        return response.content

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
        return self._transport.fetch(
            EvaluationJob,
            "POST",
            path("evaluations"),
            json={key: value for key, value in asked.items() if value is not None},
        )

    def compare(self, a: str | Identified, b: str | Identified) -> Comparison:
        """Compare two evaluations on the images they share; differences are b minus a."""
        params = {"a": id_of(a), "b": id_of(b)}
        return self._transport.fetch(Comparison, "GET", path("evaluations", "compare"), params=params)

    def get(self, evaluation: str) -> Evaluation:
        return self._transport.fetch(Evaluation, "GET", path("evaluations", evaluation))

    def list(self, *, model: str | Identified | None = None, page_size: int | None = None) -> Paged[Evaluation]:
        return self._transport.paged(
            path("evaluations"),
            lambda data: Evaluation.bind(self._transport, data),
            model=None if model is None else id_of(model),
            limit=page_size,
        )
