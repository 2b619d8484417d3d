"""Data sets, and the two ways to fill one: a folder or an archive."""

import os
from pathlib import Path
from typing import Any, Self

from tsukiji import types
from tsukiji.client._analyses import AnalysisJob
from tsukiji.client._base import path
from tsukiji.client._bound import Bound, Identified, Resource, id_of
from tsukiji.client._exceptions import NotFoundError
from tsukiji.client._files import archive_type
from tsukiji.client._folders import Group, Report, upload_folder
from tsukiji.client._images import Images
from tsukiji.client._imports import Import
from tsukiji.client._pages import Paged
from tsukiji.client._uploads import BY_PARTS_BYTES, UPLOAD_SECONDS, Sent, send


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

    def import_archive(self, archive: str | os.PathLike[str], progress: Sent | None = None) -> Import:
        """Send a zip or tar of class folders; the job unpacks it.

        A large one goes in parts: run again after an interruption, only what is missing is sent.

        Args:
            archive: `.zip`, `.tar`, `.tar.gz` or `.tgz`.
            progress: called with the bytes that the service has confirmed so far, and the bytes in all.

        Raises:
            OSError: it cannot be read.
            APIError: the service refused or cannot be reached.
        """
        file = Path(archive)
        if file.stat().st_size >= BY_PARTS_BYTES:
            return self._import(json={"upload": send(self._transport, file, progress).id})
        with file.open("rb") as content:
            headers = {"Content-Type": archive_type(file)}
            return self._import(content=content, params={"filename": file.name[:200]}, headers=headers)

    def import_source(self, url: str) -> Import:
        """Let the service read class folders from where it may: a folder of its machine, or an S3 prefix."""
        return self._import(json={"source": url})

    def _import(self, **options: Any) -> Import:
        place = path("datasets", self.id, "imports")
        response = self._transport.request("POST", place, timeout=UPLOAD_SECONDS, **options)
        return Import.bind(self._transport, response.json())

    def analyse(self, *, backbone: types.Backbone | None = None, image_size: int | None = None) -> AnalysisJob:
        """Look for duplicates, poor pictures, outliers, wrong labels, crops, and what to label next."""
        asked = {"backbone": backbone, "image_size": image_size}
        wish = {name: value for name, value in asked.items() if value is not None}
        response = self._transport.request("POST", path("datasets", self.id, "analyses"), json=wish)
        return AnalysisJob.bind(self._transport, response.json())

    def analysis(self) -> types.Analysis | None:
        """Fetch what the last analysis found, in numbers; None where there was none."""
        try:
            found = self._transport.request("GET", path("datasets", self.id, "analysis")).json()
        except NotFoundError:
            return None
        return types.Analysis.model_validate(found)

    def findings(
        self,
        kind: types.FindingKind | None = None,
        *,
        label: str | None = None,
        group: str | None = None,
        image: str | Identified | None = None,
    ) -> Paged[types.Finding]:
        """List what the last analysis found: by kind, the worst first, groups together."""
        return self._transport.paged(
            path("datasets", self.id, "findings"),
            types.Finding.model_validate,
            kind=kind,
            label=label,
            group=group,
            image=None if image is None else id_of(image),
        )

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
