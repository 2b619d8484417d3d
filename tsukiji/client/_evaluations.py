"""Evaluations: how good a model is, and on which pictures it errs."""

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._bound import Bound, Identified, Resource, id_of
from tsukiji.client._pages import Paged


class Evaluation(Bound, types.Evaluation):
    def items(
        self, *, true_label: str | None = None, predicted_label: str | None = None
    ) -> Paged[types.EvaluationItem]:
        """List the pictures, or those of one cell of the confusion matrix."""
        return self._transport.paged(
            path("evaluations", self.id, "items"),
            types.EvaluationItem.model_validate,
            true=true_label,
            predicted=predicted_label,
        )

    def confusion_csv(self) -> str:
        headers = {"Accept": "text/csv"}
        return self._transport.request("GET", path("evaluations", self.id, "confusion.csv"), headers=headers).text

    def confusion_png(self) -> bytes:
        headers = {"Accept": "image/png"}
        return self._transport.request("GET", path("evaluations", self.id, "confusion.png"), headers=headers).content


class Evaluations(Resource):
    def get(self, evaluation: str) -> Evaluation:
        return Evaluation.bind(self._transport, self._transport.request("GET", path("evaluations", evaluation)).json())

    def list(self, *, model: str | Identified | None = None, page_size: int | None = None) -> Paged[Evaluation]:
        return self._transport.paged(
            path("evaluations"),
            lambda data: Evaluation.bind(self._transport, data),
            model=None if model is None else id_of(model),
            limit=page_size,
        )
