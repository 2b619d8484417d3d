"""Batches: many pictures, classified in the background."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, Literal, TypedDict, Unpack

import httpx2
from pydantic import PrivateAttr

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._bound import Identified, Resource, id_of
from tsukiji.client._curation import Labels
from tsukiji.client._downloads import save
from tsukiji.client._feedback import correct
from tsukiji.client._files import LocalFile, archive_type, fit_one_request, packed, pictures_at
from tsukiji.client._job import Job
from tsukiji.client._pages import Paged
from tsukiji.client._uploads import BY_PARTS_BYTES, UPLOAD_SECONDS, Sent, send
from tsukiji.ingest.skipped import PassedOver


class Selection(TypedDict, total=False):
    """Which of a batch's images to read; an image must meet all of it."""

    status: str
    """`succeeded`, `errored`, `cancelled`, `expired`; of `items` also `queued`."""
    label: str
    decision: str
    abstained: bool
    """True: without a decision ("none of these"); False: with one."""
    abstain_reason: Literal["none_of_these", "below_threshold"]
    min_score: float
    max_score: float
    error: str
    """The code of what went wrong."""
    true_label: str
    order: Literal["seq", "score", "-score"]
    """As they were sent, the least sure first, or the surest first."""
    threshold: float
    min_known: float
    """With these two, decisions are made anew."""


class Batch(Job):
    FORMATS: ClassVar = {
        ".csv": "text/csv",
        ".jsonl": "application/jsonl",
        ".parquet": "application/vnd.apache.parquet",
    }
    _passed: PassedOver = PrivateAttr(default_factory=PassedOver)

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """What was passed over in the folders that it was made of, and what the service tells once it has read all."""
        return [*self._passed.warnings(), *(self.result or {}).get("warnings", [])]

    def results(self, *, probabilities: bool = False, **wanted: Unpack[Selection]) -> Iterator[types.Prediction]:
        """Stream the results so far, all or those that are wanted; with the `probabilities` of all labels on request.

        Raises:
            GoneError: they were deleted.
        """
        params = _params(probabilities=probabilities, **wanted)
        with self._transport.stream(
            "GET", self._place("results"), params=params, headers={"Accept": self.FORMATS[".jsonl"]}
        ) as response:
            for line in response.iter_lines():
                if line:
                    yield types.Prediction.model_validate_json(line)

    def items(self, **wanted: Unpack[Selection]) -> Paged[types.Prediction]:
        """List the images page by page, those that wait included; stopping early costs nothing."""
        return self._transport.paged(self._place("items"), types.Prediction.model_validate, **wanted)

    def summary(self, *, threshold: float | None = None, min_known: float | None = None) -> types.BatchSummary:
        """Count the images so far: of each label, decisions, those without one, errors."""
        params = {"threshold": threshold, "min_known": min_known}
        answer = self._transport.request("GET", self._place("summary"), params=params)
        return types.BatchSummary.model_validate(answer.json())

    def download(
        self, target: str | os.PathLike[str], *, probabilities: bool = False, **wanted: Unpack[Selection]
    ) -> Path:
        """Save the results as the target's ending says: `.csv`, `.jsonl` or `.parquet`.

        Raises:
            ValueError: the ending says none of these.
            GoneError: they were deleted.
        """
        kind = self.FORMATS.get(Path(target).suffix.lower())
        if kind is None:
            raise ValueError(f"{target}: results can be saved as {', '.join(self.FORMATS)}")
        params = _params(probabilities=probabilities, **wanted)
        return save(self._transport, self._place("results"), Path(target), kind, params)

    def correct(self, labels: Mapping[str | int, Labels], *, dataset: str | Identified | None = None) -> types.Feedback:
        """Say what images really show, by `custom_id` or `seq`; they become labelled images that wait for review.

        They go to the data set that the model was trained on, if no other is named. Up to 100 at a time. For one of the
        kind `multi_label` a list holds all labels of an image.
        """
        return correct(self._transport, self.id, labels, dataset)

    def delete(self) -> None:
        """Delete the results and pictures of a batch that has ended; its record stays.

        Raises:
            ConflictError: it has not ended.
        """
        self._transport.request("DELETE", path("batches", self.id))

    def _place(self, name: str) -> str:
        return path("batches", self.id, name)


class Batches(Resource):
    def create(
        self,
        *,
        model: str | Identified,
        images: Iterable[str | os.PathLike[str]] | None = None,
        archive: str | os.PathLike[str] | None = None,
        manifest: str | os.PathLike[str] | None = None,
        source: str | None = None,
        dataset: str | Identified | None = None,
        split: types.Split | None = None,
        top_k: int = 3,
        threshold: float = 0.0,
        min_known: float | None = None,
        tags: bool = False,
        heatmap: str | None = None,
        priority: int = 0,
        deadline_seconds: int | None = None,
        retention_days: float | None = None,
        progress: Sent | None = None,
        encoding: str | None = None,
    ) -> Batch:
        """Classify many pictures: exactly one of images, archive, manifest, source and dataset.

        Args:
            model: id, alias or name, or the model itself.
            images: files, and folders, of which the pictures in them are taken; the batch's `warnings` tell what was
                passed over. They keep their path, relative to the folder they have in common, as `custom_id`.
                More than one request may hold (100 files, 256 MiB) are packed into a temporary zip first.
            archive: a zip or tar. A large one goes in parts, of which those that the service has confirmed are never
                sent again.
            manifest: a file with a line of JSON for each image: `custom_id`, `image`, `true_label`.
            source: the URL of a folder of the service's machine or of an S3 prefix that the service may read.
            dataset: a data set, or one `split` of it.
            split: as the model's training saw it.
            top_k: how many labels each result lists.
            threshold: below this probability the decision is None.
            min_known: below this known score it is None, too; the model's own if None.
            tags: also say which kinds are where in each picture: weak localisation, no trained detector.
            heatmap: also make a heatmap of what speaks for this label, or for each picture's likeliest: "top".
            priority: 0 to 4; higher goes first, and batches of one priority take turns.
            deadline_seconds: what is not classified by then is given up: the batch ends as `expired` and keeps its
                results so far; the service has a default (24 hours).
            retention_days: results and pictures are deleted so long after its end; 0 keeps them, the service has a
                default.
            progress: called with the bytes of a large archive that are confirmed so far, and the bytes in all.
            encoding: the code page of the names in an archive that does not say it (`cp932`); guessed if None.

        Raises:
            ValueError: none or several of them; or no pictures among the images.
            FileNotFoundError: a path leads nowhere.
            APIError: the service refused or cannot be reached.
        """
        if sum(given is not None for given in (images, archive, manifest, source, dataset)) != 1:
            raise ValueError("give exactly one of images, archive, manifest, source and dataset")
        options: dict[str, Any] = {"model": id_of(model), "top_k": top_k, "threshold": threshold}
        wishes = {
            "min_known": min_known,
            "tags": tags or None,
            "heatmap": heatmap,
            "priority": priority or None,
            "deadline_seconds": deadline_seconds,
            "retention_days": retention_days,
        }
        options |= {name: value for name, value in wishes.items() if value is not None}
        passed = PassedOver()
        if dataset is not None:
            response = self._post(json=options | {"input": _dataset_input(dataset, split)})
        elif source is not None:
            response = self._post(json=options | {"input": {"source": source}})
        elif archive is not None:
            response = self._post_archive(Path(archive), options, progress, encoding)
        elif manifest is not None:
            response = self._post_body(Path(manifest), options, "application/jsonl")
        else:
            response = self._post_files(pictures_at(images or [], passed), options, progress, passed)
        batch = Batch.bind(self._transport, response.json())
        batch._passed = passed  # noqa: SLF001 - ours
        return batch

    def get(self, job_id: str) -> Batch:
        return Batch.bind(self._transport, self._transport.request("GET", path("batches", job_id)).json())

    def list(self, *, page_size: int | None = None) -> Paged[Batch]:
        return self._transport.paged(path("batches"), lambda data: Batch.bind(self._transport, data), limit=page_size)

    def _post(self, **options: Any) -> httpx2.Response:
        return self._transport.request("POST", path("batches"), timeout=UPLOAD_SECONDS, **options)

    def _post_archive(
        self, file: Path, options: dict[str, Any], progress: Sent | None, encoding: str | None
    ) -> httpx2.Response:
        named = {"encoding": encoding} if encoding else {}
        if file.stat().st_size >= BY_PARTS_BYTES:
            upload = send(self._transport, file, progress)
            return self._post(json=options | {"input": {"upload": upload.id, **named}})
        return self._post_body(file, options | named, archive_type(file))

    def _post_body(self, file: Path, options: dict[str, Any], content_type: str) -> httpx2.Response:
        with file.open("rb") as content:
            return self._post(content=content, params=options, headers={"Content-Type": content_type})

    def _post_files(
        self, files: Sequence[LocalFile], options: dict[str, Any], progress: Sent | None, passed: PassedOver
    ) -> httpx2.Response:
        if not files:
            raise ValueError(f"`images` contains no pictures. {passed}".rstrip(". "))
        if not fit_one_request(files):
            with packed(files) as archive:
                return self._post_archive(archive, options, progress, None)
        with ExitStack() as stack:
            parts = [("files", (file.name, stack.enter_context(file.path.open("rb")))) for file in files]
            form = {name: str(value) for name, value in options.items()}
            return self._post(files=parts, data=form | {"custom_ids": [file.name for file in files]})


def _dataset_input(dataset: str | Identified, split: types.Split | None) -> dict[str, str]:
    return {"dataset": id_of(dataset)} | ({"split": split} if split else {})


def _params(*, probabilities: bool, **wanted: Unpack[Selection]) -> dict[str, Any]:
    return dict(wanted) | ({"probabilities": True} if probabilities else {})
