# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Batches: many pictures, classified in the background."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict, Unpack

import httpx2
from pydantic import PrivateAttr

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._files import LocalFile, archive_type, fit_one_request, packed, pictures_at
from tsukiji.client._records import Prediction
from tsukiji.client._sync._bound import Identified, Resource, id_of
from tsukiji.client._sync._curation import Labels
from tsukiji.client._sync._downloads import save
from tsukiji.client._sync._feedback import correct
from tsukiji.client._sync._job import Job
from tsukiji.client._sync._pages import Paged
from tsukiji.client._sync._runtime import in_thread
from tsukiji.client._sync._similar import SearchOptions, similar_to
from tsukiji.client._sync._streams import Stream
from tsukiji.client._sync._uploads import BY_PARTS_BYTES, UPLOAD_SECONDS, Sent, send
from tsukiji.ingest.skipped import SkippedFiles

if TYPE_CHECKING:
    import pandas as pd


class Selection(TypedDict, total=False):
    """Filters and order of a batch's images; all filters must match."""

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
    """An error code."""
    true_label: str
    order: Literal["seq", "score", "-score"]
    """As submitted, least confident first, or most confident first."""
    threshold: float
    min_known: float
    """This and `threshold` replace those of the batch."""


class Batch(Job):
    FORMATS: ClassVar = {
        ".csv": "text/csv",
        ".jsonl": "application/jsonl",
        ".parquet": "application/vnd.apache.parquet",
    }
    _passed: SkippedFiles = PrivateAttr(default_factory=SkippedFiles)

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """Skipped files of its folders, and warnings of the service once it has read everything."""
        return [*self._passed.warnings(), *(self.result or {}).get("warnings", [])]

    def results(self, *, probabilities: bool = False, **wanted: Unpack[Selection]) -> Stream[Prediction]:
        """Stream the results so far, optionally filtered; `to_pandas()` makes them a data frame.

        `probabilities` adds those of all labels.

        Raises:
            GoneError: they were deleted.
        """
        return Stream(self._read(_params(probabilities=probabilities, **wanted)))

    def to_pandas(self, **wanted: Unpack[Selection]) -> "pd.DataFrame":
        """Return the results so far, optionally filtered, as a data frame; needs `tsukiji[pandas]`."""
        return self.results(**wanted).to_pandas()

    def _read(self, params: Mapping[str, Any]) -> Iterator[Prediction]:
        with self._transport.stream(
            "GET", self._place("results"), params=params, headers={"Accept": self.FORMATS[".jsonl"]}
        ) as response:
            for line in response.iter_lines():
                if line:
                    yield Prediction.model_validate_json(line)

    def items(self, **wanted: Unpack[Selection]) -> Paged[Prediction]:
        """List the images page by page, including queued ones; pages are fetched on demand."""
        return self._transport.paged(self._place("items"), Prediction.model_validate, **wanted)

    def parts(self) -> Paged[types.BatchPart]:
        """List the Parquet files of a batch with `output`; together they are one table."""
        return self._transport.paged(self._place("parts"), types.BatchPart.model_validate)

    def save_parts(self, folder: str | os.PathLike[str]) -> Path:
        """Save the Parquet files in a folder, for DuckDB, Polars, Spark or Ray to read `*.parquet` as one table.

        Raises:
            GoneError: they were deleted.
        """
        Path(folder).mkdir(parents=True, exist_ok=True)
        for part in self.parts():
            place = path("batches", self.id, "parts", str(part.first_seq))
            save(self._transport, place, Path(folder) / part.name, self.FORMATS[".parquet"], {})
        return Path(folder)

    def summary(self, *, threshold: float | None = None, min_known: float | None = None) -> types.BatchSummary:
        """Count the images so far: per label, decisions, those without one, errors."""
        params = {"threshold": threshold, "min_known": min_known}
        return self._transport.fetch(types.BatchSummary, "GET", self._place("summary"), params=params)

    def guarantee(self) -> types.BatchGuarantee:
        """Tell what was promised with `target_error`, whether it holds, and which random decisions to check.

        Answers are given with `correct`: the true labels of `checks`, also of those that are right.

        Raises:
            NotFoundError: nothing was promised.
        """
        return self._transport.fetch(types.BatchGuarantee, "GET", self._place("guarantee"))

    def download(
        self, target: str | os.PathLike[str], *, probabilities: bool = False, **wanted: Unpack[Selection]
    ) -> Path:
        """Save the results in the format of the target's suffix: `.csv`, `.jsonl` or `.parquet`.

        Raises:
            ValueError: another suffix.
            GoneError: they were deleted.
        """
        kind = self.FORMATS.get(Path(target).suffix.lower())
        if kind is None:
            raise ValueError(f"{target}: results can be saved as {', '.join(self.FORMATS)}")
        params = _params(probabilities=probabilities, **wanted)
        return save(self._transport, self._place("results"), Path(target), kind, params)

    def similar(
        self, seq: int, *, dataset: str | Identified | None = None, **options: Unpack[SearchOptions]
    ) -> types.SimilarImages:
        """Find the images of all data sets, or of one, that look most like a picture of the batch."""
        return similar_to(self._transport, path("batches", self.id, "results", str(seq)), dataset, **options)

    def correct(self, labels: Mapping[str | int, Labels], *, dataset: str | Identified | None = None) -> types.Feedback:
        """Correct the labels of images, by `custom_id` or `seq`; they become labelled images pending review.

        They go to the data set that the model was trained on, unless another is given. At most 100 per call. In a
        `multi_label` data set a list holds all labels of an image.
        """
        return correct(self._transport, self.id, labels, dataset)

    def report(
        self,
        *,
        parts: Sequence[types.PartReport] = (),
        images: int | None = None,
        engine: Mapping[str, Any] | None = None,
        done: bool = False,
        error: str | None = None,
    ) -> None:
        """Tell what a program on a cluster has done of this batch, and refresh it; without members, that it lives.

        Args:
            parts: written since the last report.
            images: how many there are in all.
            engine: what computes them.
            done: all parts are told.
            error: why the program ends instead.

        Raises:
            ConflictError: the batch has ended, or nothing was heard of it for a minute.
        """
        told = types.ClusterReport(parts=list(parts), images=images, engine=engine, done=done, error=error)
        body = told.model_dump(mode="json", exclude_unset=True)
        self._absorb(self._transport.json("POST", self._place("reports"), json=body))

    def delete(self) -> None:
        """Delete the results and pictures of a finished batch; its record is kept.

        Raises:
            ConflictError: it has not finished.
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
        target_error: float | None = None,
        confidence: float | None = None,
        prediction_set: float | None = None,
        tags: bool = False,
        heatmap: str | None = None,
        priority: int = 0,
        deadline_seconds: int | None = None,
        retention_days: float | None = None,
        progress: Sent | bool | None = None,
        encoding: str | None = None,
        output: str | None = None,
    ) -> Batch:
        """Classify many pictures: exactly one of images, archive, manifest, source and dataset.

        Args:
            model: id, alias or name, or the model itself.
            images: files, and folders, whose pictures are used; the batch's `warnings` list skipped files. Their
                `custom_id` is the path relative to their common folder. More than fit into one request (100 files,
                256 MiB) are packed into a temporary zip first.
            archive: a zip or tar. A large one is uploaded in parts; confirmed parts are never sent again.
            manifest: a file with a line of JSON for each image: `custom_id`, `image`, `true_label`.
            source: the URL of an allowed folder of the service's machine, or an allowed S3 prefix.
            dataset: a data set, or one `split` of it.
            split: as in the model's training.
            top_k: how many labels each result lists.
            threshold: the decision is None below this probability.
            min_known: the decision is None below this known score; None: the model's own threshold.
            target_error: instead of both: decide as much as can be decided with at most this part of it wrong.
            confidence: with which that is kept; default 0.95.
            prediction_set: also return sets of labels that have the true one with this probability: 0.8, 0.9, 0.95 or
                0.99.
            tags: also return labels of parts of each picture with boxes: weak localisation, no trained detector.
            heatmap: also return a heatmap of the evidence for this label, or for each picture's likeliest: "top".
            priority: 0 to 4; higher goes first, and batches of one priority share the workers.
            deadline_seconds: afterwards the batch ends as `expired` and keeps its results so far; default: the
                service's (24 hours).
            retention_days: when results and pictures are deleted after the end; 0: never; default: the service's.
            progress: called with the confirmed and total bytes of a large archive.
            encoding: code page of names in an archive that does not state it (`cp932`); None: guessed.
            output: for millions of images: "parquet" keeps results as Parquet files instead of rows, the URL of an
                allowed folder or S3 prefix of your own writes them there. They are read as other results.

        Raises:
            ValueError: none or several of them; or no pictures among the images.
            FileNotFoundError: a path does not exist.
            APIError: the service refused the request or is unreachable.
        """
        if sum(given is not None for given in (images, archive, manifest, source, dataset)) != 1:
            raise ValueError("give exactly one of images, archive, manifest, source and dataset")
        options: dict[str, Any] = {"model": id_of(model), "top_k": top_k, "threshold": threshold}
        given = {
            "min_known": min_known,
            "target_error": target_error,
            "confidence": confidence,
            "prediction_set": prediction_set,
            "tags": tags or None,
            "heatmap": heatmap,
            "priority": priority or None,
            "deadline_seconds": deadline_seconds,
            "retention_days": retention_days,
        }
        options |= {name: value for name, value in given.items() if value is not None}
        if output is not None:
            options["output"] = {"to": "parquet"} if output == "parquet" else {"to": "parquet", "url": output}
        passed = SkippedFiles()
        if dataset is not None:
            response = self._post(json=options | {"input": _dataset_input(dataset, split)})
        elif source is not None:
            response = self._post(json=options | {"input": {"source": source}})
        elif archive is not None:
            response = self._post_archive(Path(archive), options, progress, encoding)
        elif manifest is not None and output is not None:
            upload = send(self._transport, Path(manifest), progress)
            response = self._post(json=options | {"input": {"manifest": upload.id}})
        elif manifest is not None:
            response = self._post_body(Path(manifest), options, "application/jsonl")
        else:
            response = self._post_files(in_thread(pictures_at, images or [], passed), options, progress, passed)
        batch = Batch.bind(self._transport, response.json())
        batch._passed = passed  # noqa: SLF001 - ours
        return batch

    def create_on_cluster(
        self,
        *,
        model: str | Identified,
        source: str,
        output: str,
        threshold: float = 0.0,
        min_known: float | None = None,
    ) -> Batch:
        """Announce a batch that a program on a cluster of one's own runs, and reports (`Batch.report`).

        Args:
            model: id, alias or name, or the model itself.
            source: the URL of a folder or S3 prefix that the service, too, may read.
            output: the URL of the folder or prefix for its parts, in `batch=ID` below it.
            threshold: the decision is None below this probability.
            min_known: the decision is None below this known score; None: the model's own threshold.
        """
        body: dict[str, Any] = {"model": id_of(model), "threshold": threshold, "input": {"source": source}}
        body |= {"output": {"to": "parquet", "url": output}, "runner": "ray"}
        if min_known is not None:
            body["min_known"] = min_known
        return Batch.bind(self._transport, (self._post(json=body)).json())

    def get(self, job_id: str) -> Batch:
        return self._transport.fetch(Batch, "GET", path("batches", job_id))

    def list(self, *, page_size: int | None = None) -> Paged[Batch]:
        return self._transport.paged(path("batches"), lambda data: Batch.bind(self._transport, data), limit=page_size)

    def _post(self, **options: Any) -> httpx2.Response:
        return self._transport.request("POST", path("batches"), timeout=UPLOAD_SECONDS, **options)

    def _post_archive(
        self, file: Path, options: dict[str, Any], progress: Sent | bool | None, encoding: str | None
    ) -> httpx2.Response:
        named = {"encoding": encoding} if encoding else {}
        if file.stat().st_size >= BY_PARTS_BYTES or "output" in options:
            upload = send(self._transport, file, progress)
            return self._post(json=options | {"input": {"upload": upload.id, **named}})
        return self._post_body(file, options | named, archive_type(file))

    def _post_body(self, file: Path, options: dict[str, Any], content_type: str) -> httpx2.Response:
        with file.open("rb") as content:
            return self._post(content=content, params=options, headers={"Content-Type": content_type})

    def _post_files(
        self, files: Sequence[LocalFile], options: dict[str, Any], progress: Sent | bool | None, passed: SkippedFiles
    ) -> httpx2.Response:
        if not files:
            raise ValueError(f"`images` contains no pictures. {passed}".rstrip(". "))
        if not fit_one_request(files) or "output" in options:
            with ExitStack() as stack:
                archive = in_thread(stack.enter_context, packed(files))
                return self._post_archive(archive, options, progress, None)
        with ExitStack() as stack:
            parts = [("files", (file.name, stack.enter_context(file.path.open("rb")))) for file in files]
            form = {name: str(value) for name, value in options.items()}
            return self._post(files=parts, data=form | {"custom_ids": [file.name for file in files]})


def _dataset_input(dataset: str | Identified, split: types.Split | None) -> dict[str, str]:
    return {"dataset": id_of(dataset)} | ({"split": split} if split else {})


def _params(*, probabilities: bool, **wanted: Unpack[Selection]) -> dict[str, Any]:
    return dict(wanted) | ({"probabilities": True} if probabilities else {})
