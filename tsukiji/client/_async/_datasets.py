"""Data sets, and the ways to fill one: a folder, an archive, a server-side source, web addresses."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

from tsukiji import types
from tsukiji.client import _views as views
from tsukiji.client._async._analyses import AsyncAnalysisJob
from tsukiji.client._async._bound import Identified, Resource, id_of
from tsukiji.client._async._curation import Chosen, Curated
from tsukiji.client._async._folders import Group, Report, holds_some_of, upload_folder
from tsukiji.client._async._images import Images
from tsukiji.client._async._imports import AsyncImport
from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._async._similar import SearchOptions, similar_to_picture
from tsukiji.client._async._snapshots import AsyncSnapshot, download
from tsukiji.client._async._suggestions import AsyncSuggestionJob
from tsukiji.client._async._thumbnails import thumbnails
from tsukiji.client._async._uploads import BY_PARTS_BYTES, UPLOAD_SECONDS, Sent, send
from tsukiji.client._base import path
from tsukiji.client._exceptions import NotFoundError
from tsukiji.client._files import archive_type
from tsukiji.client._pictures import Picture
from tsukiji.client._progress import counted
from tsukiji.client._records import DatasetMap
from tsukiji.labels import look_alikes


class ImportArguments(TypedDict, total=False):
    """Options of an import."""

    format: types.ImportFormat
    """Source of the labels: `folders`, `table`, `azure`, `vertex`, `sagemaker`, `teachable`, `coco`, `labelstudio` or
    `fiftyone`."""
    columns: dict[types.Column, str | list[str]]
    """The table's own names for `file`, `url`, `label`, `split`, `group`, if unusual; for `label` also a list of
    columns of 0 and 1 named after labels."""
    separator: str
    """Between labels in a cell, if neither `|` nor `;`."""
    folders: dict[str, types.FolderRole]
    """The roles of folders with misleading names: `{"train": "label"}`, a split, or `none` for neither."""
    label: str
    """Of pictures without a label in a table; replaces those of folders."""
    split: types.Split
    """Of pictures without a split in a table; replaces those of folders."""
    encoding: str
    """Code page of names in an archive that does not state it, such as `cp932`; default: guessed."""


class AsyncDataset(Curated, types.Dataset):
    def _repr_html_(self) -> str:
        return views.dataset(self, thumbnails(self._transport, self.id))

    async def refresh(self) -> Self:
        return self._absorb(await self._transport.json("GET", path("datasets", self.id)))

    async def upload(
        self,
        folder: str | os.PathLike[str],
        progress: Report | bool | None = None,
        *,
        group: Group | None = None,
        table: str | os.PathLike[str] | None = None,
        **arguments: Unpack[ImportArguments],
    ) -> types.UploadResult:
        """Upload a folder of pictures; a second run sends only what is missing.

        Args:
            folder: a picture's parent folder is its label, a folder train, valid or test above it its split, unless a
                table in it (CSV, JSON lines, another tool's export) has them. For a `multi_label` data set a folder's
                name may list labels, `ant+bee`, and copies in several folders get the labels of all.
            progress: called with the number of finished files and of all; by default a line shows them in a terminal or
                a notebook, False shows none.
            group: what the pictures have in common (one animal, one film), so that they stay on one side of a split.
                One name for all, or a function from the relative path (`cat/1.jpg`) to a name or None.
            table: one outside the folder.
            arguments: see `ImportArguments`.

        Raises:
            NotADirectoryError: it is not a folder.
            ValueError: `table` is invalid, or there are no files in the folder.
            APIError: the service refused the request or is unreachable; bad files never raise, see the result.
        """
        options = types.ImportOptions(**arguments)
        beside = None if table is None else Path(table)
        shown = self._transport.config.progress
        with counted(progress, Path(folder).name, "files", enabled=shown) as report:
            result = await upload_folder(
                self._transport, self.id, Path(folder), report, group, beside, options, self.kind
            )
        await self.refresh()
        sent = {label for file in result.files for label in file.labels or []}
        result.warnings += look_alikes({row.label for row in self.classes if row.label is not None} | sent, sent)
        return result

    async def holds_some_of(self, folder: str | os.PathLike[str]) -> bool:
        """Return whether the data set has any file of this folder, by content."""
        return await holds_some_of(self._transport, self.id, Path(folder))

    async def import_archive(
        self,
        archive: str | os.PathLike[str],
        progress: Sent | bool | None = None,
        *,
        group: str | None = None,
        table: str | os.PathLike[str] | None = None,
        **arguments: Unpack[ImportArguments],
    ) -> AsyncImport:
        """Send a zip or tar of pictures; it is read like a folder by `upload`.

        A large one is uploaded in parts: run it again after an interruption, and only missing parts are sent.

        Args:
            archive: `.zip`, `.tar`, `.tar.gz`, `.tgz`, or `.tm` of Teachable Machine.
            progress: called with the confirmed and total bytes.
            group: as in `upload`, one for all.
            table: one outside the archive.
            arguments: see `ImportArguments`.

        Raises:
            OSError: it cannot be read.
            APIError: the service refused the request or is unreachable.
        """
        file, options = Path(archive), _options(group, arguments)
        if table is not None or {"columns", "folders"} & options.keys() or file.stat().st_size >= BY_PARTS_BYTES:
            named = {"upload": (await send(self._transport, file, progress)).id} | await self._sent_table(table)
            return await self._import(json=named | options)
        with file.open("rb") as content:
            headers = {"Content-Type": archive_type(file)}
            return await self._import(content=content, params={"filename": file.name[:200]} | options, headers=headers)

    async def import_source(
        self,
        url: str,
        *,
        group: str | None = None,
        table: str | os.PathLike[str] | None = None,
        **arguments: Unpack[ImportArguments],
    ) -> AsyncImport:
        """Import pictures from an allowed folder of the service's machine, or an allowed S3 prefix."""
        return await self._import(json={"source": url} | await self._sent_table(table) | _options(group, arguments))

    async def import_table(
        self, table: str | os.PathLike[str], *, group: str | None = None, **arguments: Unpack[ImportArguments]
    ) -> AsyncImport:
        """Send a table (CSV, JSON lines, another tool's export) of addresses; the service fetches the pictures."""
        return await self._import(json=await self._sent_table(table) | _options(group, arguments))

    async def import_urls(
        self, urls: Iterable[str], *, group: str | None = None, **arguments: Unpack[ImportArguments]
    ) -> AsyncImport:
        """Let the service fetch pictures by their addresses, from allowed hosts; `label` applies to all."""
        return await self._import(json={"urls": list(urls)} | _options(group, arguments))

    async def _sent_table(self, table: str | os.PathLike[str] | None) -> dict[str, str]:
        return {} if table is None else {"table": (await send(self._transport, Path(table))).id}

    async def _import(self, **options: Any) -> AsyncImport:
        place = path("datasets", self.id, "imports")
        return await self._transport.fetch(AsyncImport, "POST", place, timeout=UPLOAD_SECONDS, **options)

    def pictures(self, **wanted: Unpack[Chosen]) -> AsyncPaged[types.Image]:
        """List the images, optionally filtered."""
        return Images(self._transport).list(self, **wanted)

    async def snapshot(self) -> AsyncSnapshot:
        """Freeze the labelled images as they are now; an unchanged data set returns the same snapshot."""
        return await self._transport.fetch(AsyncSnapshot, "POST", path("datasets", self.id, "snapshots"))

    def snapshots(self) -> AsyncPaged[AsyncSnapshot]:
        """List the snapshots, newest first; each training creates one."""
        place = path("datasets", self.id, "snapshots")
        return self._transport.paged(place, lambda data: AsyncSnapshot.bind(self._transport, data))

    async def download(self, target: str | os.PathLike[str], format: types.DatasetFormat | None = None) -> Path:  # noqa: A002
        """Save the images in use, or a table of them.

        Args:
            target: a `.csv` or `.jsonl` becomes a table, a `.zip` has class folders.
            format: `huggingface` for a zip with metadata instead of `imagefolder`.

        Raises:
            ValueError: neither gives the format.
        """
        return await download(self._transport, path("datasets", self.id, "export"), Path(target), format)

    async def analyse(
        self, *, backbone: types.Backbone | None = None, image_size: int | None = None
    ) -> AsyncAnalysisJob:
        """Analyse a data set: duplicates, poor pictures, outliers, wrong labels, crops, and what to label next."""
        asked = {"backbone": backbone, "image_size": image_size}
        changes = {name: value for name, value in asked.items() if value is not None}
        return await self._transport.fetch(
            AsyncAnalysisJob, "POST", path("datasets", self.id, "analyses"), json=changes
        )

    async def analysis(self) -> types.Analysis | None:
        """Fetch the results of the last analysis as numbers; None if there is none."""
        try:
            found = await self._transport.json("GET", path("datasets", self.id, "analysis"))
        except NotFoundError:
            return None
        return types.Analysis.model_validate(found)

    async def suggest(
        self, *, backbone: types.Backbone | None = None, image_size: int | None = None
    ) -> AsyncSuggestionJob:
        """Sort the unlabelled images into piles, to label a pile at a time: `relabel("cat", pile="label:cat")`."""
        asked = {"backbone": backbone, "image_size": image_size}
        changes = {name: value for name, value in asked.items() if value is not None}
        return await self._transport.fetch(
            AsyncSuggestionJob, "POST", path("datasets", self.id, "suggestions"), json=changes
        )

    async def suggestions(self) -> types.Suggestions | None:
        """Fetch the last round of suggestions: piles, and accuracy over the number of labels; None if there is none."""
        try:
            found = await self._transport.json("GET", path("datasets", self.id, "suggestions"))
        except NotFoundError:
            return None
        return types.Suggestions.model_validate(found)

    def suggested(self, pile: str) -> AsyncPaged[types.SuggestedImage]:
        """List the images of a pile that are still unlabelled: surest first; of `doubtful`, the most useful first."""
        place = path("datasets", self.id, "suggestions", "images")
        return self._transport.paged(place, types.SuggestedImage.model_validate, pile=pile)

    def findings(
        self,
        kind: types.FindingKind | None = None,
        *,
        label: str | None = None,
        group: str | None = None,
        image: str | Identified | None = None,
    ) -> AsyncPaged[types.Finding]:
        """List the findings of the last analysis: by kind, worst first, groups together."""
        return self._transport.paged(
            path("datasets", self.id, "findings"),
            types.Finding.model_validate,
            kind=kind,
            label=label,
            group=group,
            image=None if image is None else id_of(image),
        )

    async def similar(self, picture: Picture, **options: Unpack[SearchOptions]) -> types.SimilarImages:
        """Find the images that look most like a picture, which is not kept; `known_score` says whether it is new.

        Args:
            picture: a path, bytes, an image of Pillow or an array.
            options: see `SearchOptions`.

        Raises:
            ConflictError: no features are kept; `analyse()` keeps them.
        """
        return await similar_to_picture(self._transport, picture, self.id, **options)

    async def map(self, **options: Unpack[SearchOptions]) -> DatasetMap:
        """Place the images in a plane, those that look alike near each other; `to_pandas()` has a row for each.

        Args:
            options: see `SearchOptions`; of more than `limit` images (default: 5,000) these are chosen evenly.

        Raises:
            ConflictError: no features are kept; `analyse()` keeps them.
        """
        return await self._transport.fetch(DatasetMap, "GET", path("datasets", self.id, "map"), params=dict(options))

    async def delete(self) -> None:
        await self._transport.request("DELETE", path("datasets", self.id))


class Datasets(Resource):
    async def create_sample(self) -> AsyncImport:
        """Make the sample data set, handwritten digits; returns its import, the earlier one if it exists."""
        return await self._transport.fetch(AsyncImport, "POST", path("datasets", "sample"))

    async def create(
        self, name: str, description: str = "", *, kind: types.Kind | None = None, exist_ok: bool = False
    ) -> AsyncDataset:
        """Create a data set; with `exist_ok` return an existing one of that name.

        Args:
            name: must be unique.
            description: for people.
            kind: `multi_label` if images may have several labels or none; default: `single_label`. Immutable.
            exist_ok: return an existing data set.

        Raises:
            ValueError: the existing one is of the other kind.
        """
        if exist_ok:
            try:
                found = await self.get(name)
            except NotFoundError:
                pass
            else:
                if kind not in {None, found.kind}:
                    raise ValueError(f"the data set {name!r} is {found.kind}, which cannot be changed")
                return found
        asked = {"name": name, "description": description} | ({"kind": kind} if kind else {})
        return await self._transport.fetch(AsyncDataset, "POST", path("datasets"), json=asked)

    async def get(self, dataset: str) -> AsyncDataset:
        """Fetch by id or name."""
        return await self._transport.fetch(AsyncDataset, "GET", path("datasets", dataset))

    async def delete(self, dataset: str | Identified) -> None:
        await self._transport.request("DELETE", path("datasets", id_of(dataset)))

    def list(self, *, page_size: int | None = None) -> AsyncPaged[AsyncDataset]:
        return self._transport.paged(
            path("datasets"), lambda data: AsyncDataset.bind(self._transport, data), limit=page_size
        )


def _options(group: str | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    given = {**arguments, "group": group}
    return {name: value for name, value in given.items() if value is not None and value != {}}
