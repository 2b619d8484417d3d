"""Models and their aliases."""

import os
from pathlib import Path
from typing import Unpack, overload

from tsukiji import types
from tsukiji.client._async._bound import Bound, Identified, Resource, id_of
from tsukiji.client._async._downloads import save
from tsukiji.client._async._evaluations import AsyncEvaluation, Evaluations
from tsukiji.client._async._job import AsyncJob
from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._async._predictions import predict
from tsukiji.client._async._uploads import UPLOAD_SECONDS
from tsukiji.client._base import path
from tsukiji.client._pictures import Picture
from tsukiji.client._records import Asked, Prediction, Several


class AsyncModel(Bound, types.Model):
    @property
    async def evaluation(self) -> AsyncEvaluation | None:
        """Its evaluation on the training's held-out pictures; makes a request."""
        return await Evaluations(self._transport).get(self.evaluation_id) if self.evaluation_id else None

    @overload
    async def predict(self, picture: Picture, /, **options: Unpack[Asked]) -> Prediction: ...

    @overload
    async def predict(self, pictures: Several, /, **options: Unpack[Asked]) -> list[Prediction]: ...

    async def predict(self, pictures: Picture | Several, /, **options: Unpack[Asked]) -> Prediction | list[Prediction]:
        """Classify one picture, or a list of up to 16, now; see `Client.predict`."""
        return await predict(self._transport, pictures, self.id, options)

    def suspects(self) -> AsyncPaged[types.LabelSuspect]:
        """List the images of its data set whose labels may be wrong, most suspicious first."""
        return self._transport.paged(path("models", self.id, "suspects"), types.LabelSuspect.model_validate)

    async def drift(self) -> types.ModelDrift:
        """Fetch what its newest batches are like, beside the pictures that its training held out."""
        return await self._transport.fetch(types.ModelDrift, "GET", path("models", self.id, "drift"))

    async def download(self, target: str | os.PathLike[str]) -> Path:
        """Save the package, a zip without pickle, at `target`."""
        return await save(self._transport, path("models", self.id, "package"), Path(target), "application/zip")

    async def export(self, format: types.ExportFormat) -> AsyncJob:  # noqa: A002
        """Start converting the model to `onnx` or `fastai`; see `Models.export`."""
        return await Models(self._transport).export(self, format)


class Models(Resource):
    async def get(self, model: str) -> AsyncModel:
        """Fetch by id, alias or name."""
        return await self._transport.fetch(AsyncModel, "GET", path("models", model))

    async def delete(self, model: str | Identified) -> None:
        await self._transport.request("DELETE", path("models", id_of(model)))

    async def download(self, model: str | Identified, target: str | os.PathLike[str]) -> Path:
        """Save the package, a zip without pickle, at `target`."""
        return await save(self._transport, path("models", id_of(model), "package"), Path(target), "application/zip")

    async def import_package(self, package: str | os.PathLike[str], name: str | None = None) -> AsyncModel:
        """Upload a package from another service, the zip of `download`; it becomes a new model here.

        Args:
            package: the zip.
            name: of the new model; default: the file's name.

        Raises:
            UnprocessableEntityError: it is not a complete package; `code` is `package_invalid`.
        """
        zipped = Path(package)
        with zipped.open("rb") as file:
            return await self._transport.fetch(
                AsyncModel,
                "POST",
                path("models"),
                files=[("package", (zipped.name, file))],
                data={} if name is None else {"name": name},
                timeout=UPLOAD_SECONDS,
            )

    async def export(self, model: str | Identified, format: types.ExportFormat) -> AsyncJob:  # noqa: A002
        """Start converting a model to `onnx` or `fastai`; an existing export is returned at once.

        Wait for the job, then save the file with `download_export`.
        """
        return await self._transport.fetch(
            AsyncJob, "POST", path("models", id_of(model), "exports"), json={"format": format}
        )

    def exports(self, model: str | Identified) -> AsyncPaged[types.ModelExport]:
        """List the exports of a model, with measurements."""
        return self._transport.paged(path("models", id_of(model), "exports"), types.ModelExport.model_validate)

    async def download_export(
        self,
        model: str | Identified,
        format: types.ExportFormat,  # noqa: A002
        target: str | os.PathLike[str],
    ) -> Path:
        """Save a finished export at `target`. A `fastai` export is a pickle: opening it runs code."""
        place = path("models", id_of(model), "exports", format)
        return await save(self._transport, place, Path(target), "application/octet-stream")

    def list(self, *, page_size: int | None = None) -> AsyncPaged[AsyncModel]:
        return self._transport.paged(
            path("models"), lambda data: AsyncModel.bind(self._transport, data), limit=page_size
        )


class Aliases(Resource):
    async def set(
        self, name: str, model: str | Identified, *, target_error: float | None = None, confidence: float = 0.95
    ) -> types.Alias:
        """Point the alias `name` to a model; a target is of batches and predictions that name no threshold."""
        asked = {"model": id_of(model)} | (
            {"target_error": target_error, "confidence": confidence} if target_error else {}
        )
        return await self._transport.fetch(types.Alias, "PUT", path("aliases", name), json=asked)

    async def get(self, name: str) -> types.Alias:
        return await self._transport.fetch(types.Alias, "GET", path("aliases", name))

    async def delete(self, name: str) -> None:
        await self._transport.request("DELETE", path("aliases", name))

    async def rollback(self, name: str) -> types.Alias:
        """Point the alias `name` to its previous model; a second roll-back restores the first."""
        return await self._transport.fetch(types.Alias, "POST", path("aliases", name, "rollback"))

    def history(self, name: str) -> AsyncPaged[types.AliasMove]:
        """List the alias's history, newest first."""
        return self._transport.paged(path("aliases", name, "history"), types.AliasMove.model_validate)

    def list(self) -> AsyncPaged[types.Alias]:
        return self._transport.paged(path("aliases"), types.Alias.model_validate)
