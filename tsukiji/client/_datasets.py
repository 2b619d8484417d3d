"""Data sets, and the two ways to fill one: a folder or a zip."""

import os
from pathlib import Path
from typing import Self

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._bound import Bound, Identified, Resource, id_of
from tsukiji.client._exceptions import NotFoundError
from tsukiji.client._images import Images
from tsukiji.client._imports import Import
from tsukiji.client._pages import Paged
from tsukiji.client._uploads import UPLOAD_SECONDS, Group, Report, upload_folder


class Dataset(Bound, types.Dataset):
    def refresh(self) -> Self:
        return self._absorb(self._transport.request("GET", path("datasets", self.id)).json())

    def upload(
        self, folder: str | os.PathLike[str], progress: Report | None = None, *, group: Group | None = None
    ) -> types.UploadResult:
        """Upload a folder of class folders; a second run sends only what is missing.

        Args:
            folder: the parent folder of a picture is its label; a folder train, valid or test above it is its split.
            progress: called with the files settled so far and the files in all.
            group: what the pictures have in common (one animal, one film): a group is never learnt from and held out
                both. One name for all, or a function from the relative path (`cat/1.jpg`) to a name or None.

        Raises:
            NotADirectoryError: it is no folder.
            APIError: the service refused or cannot be reached; bad files never raise, see the result.
        """
        result = upload_folder(self._transport, self.id, Path(folder), progress, group)
        self.refresh()
        return result

    def import_zip(self, archive: str | os.PathLike[str]) -> Import:
        """Send a zip of class folders; the job unpacks it."""
        with Path(archive).open("rb") as file:
            response = self._transport.request(
                "POST",
                path("datasets", self.id, "imports"),
                content=file,
                params={"filename": Path(archive).name[:200]},
                headers={"Content-Type": "application/zip"},
                timeout=UPLOAD_SECONDS,
            )
        return Import.bind(self._transport, response.json())

    def pictures(self, *, label: str | None = None, split: types.Split | None = None) -> Paged[types.Image]:
        return Images(self._transport).list(self, label=label, split=split)

    def delete(self) -> None:
        self._transport.request("DELETE", path("datasets", self.id))


class Datasets(Resource):
    def create(self, name: str, description: str = "", *, exist_ok: bool = False) -> Dataset:
        """Make a data set; with `exist_ok` return the one that has the name already."""
        if exist_ok:
            try:
                return self.get(name)
            except NotFoundError:
                pass
        asked = {"name": name, "description": description}
        return Dataset.bind(self._transport, self._transport.request("POST", path("datasets"), json=asked).json())

    def get(self, dataset: str) -> Dataset:
        """Fetch by id or name."""
        return Dataset.bind(self._transport, self._transport.request("GET", path("datasets", dataset)).json())

    def delete(self, dataset: str | Identified) -> None:
        self._transport.request("DELETE", path("datasets", id_of(dataset)))

    def list(self, *, page_size: int | None = None) -> Paged[Dataset]:
        return self._transport.paged(
            path("datasets"), lambda data: Dataset.bind(self._transport, data), limit=page_size
        )
