"""Models and the aliases that name them."""

import os
from collections.abc import Sequence
from pathlib import Path

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._bound import Bound, Identified, Resource, id_of
from tsukiji.client._downloads import save
from tsukiji.client._evaluations import Evaluation, Evaluations
from tsukiji.client._pages import Paged
from tsukiji.client._predictions import Picture, predict


class Model(Bound, types.Model):
    @property
    def evaluation(self) -> Evaluation | None:
        """How good it is on its own held-out pictures; asks the service."""
        return Evaluations(self._transport).get(self.evaluation_id) if self.evaluation_id else None

    def predict(self, pictures: Sequence[Picture], *, top_k: int = 3, threshold: float = 0.0) -> list[types.Prediction]:
        """Classify up to 16 pictures now; see `Client.predict`."""
        return predict(self._transport, pictures, self.id, top_k, threshold, wait=10)

    def download(self, target: str | os.PathLike[str]) -> Path:
        """Save the package, a zip without pickle, at `target`."""
        return save(self._transport, path("models", self.id, "package"), Path(target), "application/zip")


class Models(Resource):
    def get(self, model: str) -> Model:
        """Fetch by id, alias or name."""
        return Model.bind(self._transport, self._transport.request("GET", path("models", model)).json())

    def delete(self, model: str | Identified) -> None:
        self._transport.request("DELETE", path("models", id_of(model)))

    def download(self, model: str | Identified, target: str | os.PathLike[str]) -> Path:
        """Save the package, a zip without pickle, at `target`."""
        return save(self._transport, path("models", id_of(model), "package"), Path(target), "application/zip")

    def list(self, *, page_size: int | None = None) -> Paged[Model]:
        return self._transport.paged(path("models"), lambda data: Model.bind(self._transport, data), limit=page_size)


class Aliases(Resource):
    def set(self, name: str, model: str | Identified) -> types.Alias:
        """Let `name` stand for a model from now on."""
        response = self._transport.request("PUT", path("aliases", name), json={"model": id_of(model)})
        return types.Alias.model_validate(response.json())

    def get(self, name: str) -> types.Alias:
        return types.Alias.model_validate(self._transport.request("GET", path("aliases", name)).json())

    def delete(self, name: str) -> None:
        self._transport.request("DELETE", path("aliases", name))

    def list(self) -> Paged[types.Alias]:
        return self._transport.paged(path("aliases"), types.Alias.model_validate)
