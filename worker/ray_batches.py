"""A batch on a Ray cluster of the user's own (`tsukiji batch-ray`): its pictures never pass through the service.

The driver lists the source as the service's planner does. Ray Data hands the lists to actors, which read, decode, embed
and decide as an `infer` worker does, and write the results of each list as a part. The service is told of every part,
so the batch is a job like others: it is followed, cancelled and read there, and ends there.

What runs again after a loss is Ray's matter. A part has a name of its own for each run, and only those are told that
came back to the driver: so each picture counts once.
"""

import base64
import io
import json
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

import pyarrow as pa
import ray
from pyarrow import parquet
from pydantic import BaseModel
from ray.data import ActorPoolStrategy, DataContext

from db.jobs.batches import Part
from db.parts import tables
from db.parts.files import encoded
from db.parts.item_lists import ListedItem, encode, listed
from db.parts.pictures import read_listed
from db.predictions.decisions import Rule
from tsukiji.cli.programs import programs_folder
from tsukiji.client import APIError, Batch, Client
from tsukiji.errors import BatchEmpty, TsukijiError
from tsukiji.ingest.outputs import Outputs, folder_of
from tsukiji.ingest.skipped import SkippedFiles
from tsukiji.ingest.sources import Sources, join_url
from tsukiji.kernel.settings import OutputSettings, Settings, SourceSettings
from tsukiji.kernel.storage.blobs import digest_of
from tsukiji.kernel.storage.memory import MemoryStore
from tsukiji.types.batches import MIN_KNOWN
from tsukiji.vision import package
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.engines.selection import choose, choose_as
from tsukiji.vision.predictor import Predictor
from worker.inference.batch_inference import Reading, predict
from worker.inference.part_inference import groups_read
from worker.inputs.listed_items import from_source

LIST_IMAGES: Final = 4096
"""Pictures of a list, and rows of its part. An actor does one after the other, and waits for each's first group."""
GROUP_IMAGES: Final = 256
FIRST_LIST: Final = 64
"""Later ones grow, so that a small source has work for all actors."""
REPORT_SECONDS: Final = 10
"""Longest silence towards the service, which takes the program for lost after a minute."""


class Order(BaseModel):
    """What the command line asks for, as JSON on standard input."""

    model: str
    source: str
    output: str
    threshold: float = 0.0
    min_known: float | None = None
    address: str | None = None
    """Of the cluster; null: one for this program on this machine."""
    actors: int | None = None
    cpus: int | None = None
    """Of each actor; null: all of the smallest node."""


@dataclass(frozen=True)
class Work:
    """What an actor needs to know."""

    settings: Settings
    source: str
    folder: str
    """Where its parts go."""
    rule: Rule
    streams: int
    """Forward passes at once: the processors that Ray gives the actor."""

    @classmethod
    def of(cls, order: Order, folder: str, rule: Rule, streams: int) -> Self:
        settings = Settings()
        changes = {
            "sources": SourceSettings(allowed=[order.source]),
            "outputs": OutputSettings(allowed=[order.output]),
            "inference": settings.inference.model_copy(update={"streams": streams}),
        }
        return cls(settings.model_copy(update=changes), order.source, folder, rule, streams)


class Classifier:
    """An actor: a model in memory, and lists of pictures to parts of results."""

    def __init__(self, model: "ray.ObjectRef[bytes]", work: Work) -> None:
        settings = work.settings
        with tempfile.TemporaryDirectory(prefix="tsukiji-model-") as place:
            folder = Path(place)
            zipfile.ZipFile(io.BytesIO(ray.get(model))).extractall(folder)
            self._predictor = load(folder, settings)
        self._work, self._limits = work, DecodeLimits.of(settings.limits)
        self._output = Outputs(settings).open(work.folder)
        sources, largest = Sources(settings), settings.limits.image_bytes
        self._read = partial(read_listed, MemoryStore(), sources, largest=largest)

    def __call__(self, lists: pa.Table) -> pa.Table:
        found = [self._classify(row["items"], row["first_seq"]) for row in lists.to_pylist()]
        return pa.table({"told": [json.dumps(each) for each in found]})

    def _classify(self, items: bytes, first_seq: int) -> dict[str, Any]:
        """Write the part of a list, and return what the service is told of it."""
        rule, found, distribution = self._work.rule, [], None
        for group, pictures in groups_read(items_in(items), self._read, lambda: None, GROUP_IMAGES):
            asked = [each.item for each in group]
            reading = Reading(pictures.__getitem__, self._limits)
            classified = predict(self._predictor, asked, reading, rule.threshold)
            found.append(tables.table_of(asked, [each.image for each in group], classified.rows, rule))
            distribution = classified.distribution if distribution is None else distribution + classified.distribution
        table = pa.concat_tables(found)
        groups, errors = tables.counted(table, rule)
        data, name = encoded(table, tables.GROUP_ROWS), f"part-{first_seq:010}-{uuid4().hex[:8]}.parquet"
        self._output.write(name, data)
        url, succeeded = join_url(self._work.folder, name), len(table) - sum(errors.values())
        part = Part(digest_of([data]).sha256, len(data), succeeded, errors, groups, url)
        return asdict(part) | {
            "first_seq": first_seq,
            "last_seq": first_seq + len(table) - 1,
            "distribution": None if distribution is None else base64.b64encode(distribution.to_bytes()).decode(),
            "engine": self._predictor.plan.to_dict(),
        }


def load(folder: Path, settings: Settings) -> Predictor:
    """Return the predictor of a package as the model was evaluated, or in float32 where the node is not able to."""
    told = package.read_calibration(folder).execution
    cache, has_int8 = settings.cache_dir, (folder / package.INT8).exists()
    plan = choose_as(told, settings.inference, cache, int8=has_int8) if told else None
    exact = settings.inference.model_copy(update={"precision": "float32"})
    return Predictor.planned(folder, plan or choose(exact, cache), cache)


def items_in(items: bytes) -> Iterator[ListedItem]:
    """Yield the items of a list."""
    for rows in parquet.ParquetFile(io.BytesIO(items)).iter_batches():
        yield from map(listed, rows.to_pylist())


# --- the driver ------------------------------------------------------------------------------------------------------


def run(order: Order, client: Client) -> Batch:
    """Classify the source on the cluster, and return the ended batch.

    Raises:
        Stopped: the batch was cancelled.
        TsukijiError, APIError
    """
    asked: dict[str, Any] = {"threshold": order.threshold, "min_known": order.min_known}
    batch = client.batches.create_on_cluster(model=order.model, source=order.source, output=order.output, **asked)
    with Reports(batch) as reports:
        cpus = connect(order)
        request = batch.request
        min_known = MIN_KNOWN if order.min_known is None else order.min_known
        rule = Rule(order.threshold, min_known, request["kind"] == "multi_label")
        work = Work.of(order, folder_of(order.output, batch.id), rule, cpus)
        passed = SkippedFiles()
        lists = list(put_lists(work, passed))
        reports.tell(images=sum(images for images, _ in lists))
        model = package_of(client, request["model"])
        for told in parts_of(work, model, [block for _, block in lists], order.actors):
            engine = told.pop("engine")
            reports.tell(parts=[told], engine=engine)
        reports.tell(done=True)
    return batch.wait()


def connect(order: Order) -> int:
    """Connect to the cluster, or start one here; returns the processors for each actor."""
    variables = {"PYTHONPATH": str(programs_folder()), "RAY_USAGE_STATS_ENABLED": "0", "OMP_WAIT_POLICY": "PASSIVE"}
    ray.init(address=order.address, include_dashboard=False, runtime_env={"env_vars": variables}, log_to_driver=False)
    DataContext.get_current().enable_progress_bars = False
    return order.cpus or min(int(node["Resources"].get("CPU", 1)) for node in ray.nodes() if node["Alive"])


def package_of(client: Client, model: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="tsukiji-model-") as folder:
        return client.models.download(model, Path(folder) / "model.zip").read_bytes()


def put_lists(work: Work, passed: SkippedFiles) -> Iterator[tuple[int, Any]]:
    """List the source in the order of the service; yields images of each list, and its place in the object store.

    Raises:
        BatchEmpty
    """
    settings = work.settings
    rows, first = from_source(Sources(settings), work.source, settings.limits.image_bytes, passed), 0
    while page := list(islice(rows, min(LIST_IMAGES, max(FIRST_LIST, first)))):
        yield len(page), ray.put(pa.table({"first_seq": [first], "items": [encode(page, first)]}))
        first += len(page)
    if not first:
        raise BatchEmpty(f"There are no pictures to classify in {work.source}. {passed}".rstrip())


def parts_of(work: Work, model: bytes, lists: list[Any], actors: int | None) -> Iterator[dict[str, Any]]:
    """Yield what is told of each part, in whatever order they end."""
    most = actors or max(1, int(ray.cluster_resources()["CPU"]) // work.streams)
    found = ray.data.from_arrow_refs(lists).map_batches(
        Classifier,
        fn_constructor_args=(ray.put(model), work),
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(min_size=1, max_size=min(most, len(lists))),
        num_cpus=work.streams,
    )
    for table in found.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield from map(json.loads, table["told"].to_pylist())


class Stopped(Exception):
    """The service asked the program to end: the batch was cancelled."""


class Reports:
    """Tells the service what is done, and in between that the program lives."""

    def __init__(self, batch: Batch) -> None:
        self._batch, self._over, self._lock = batch, threading.Event(), threading.Lock()
        self._pulse = threading.Thread(target=self._beat, name="reports", daemon=True)

    def __enter__(self) -> Self:
        self._pulse.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._over.set()
        self._pulse.join()
        if isinstance(error, Stopped):
            self._batch.report(done=True)
        elif error is not None:
            with suppress(APIError):
                self._batch.report(error=f"{type(error).__name__}: {error}"[:2000])

    def tell(self, **told: Any) -> None:
        """Report.

        Raises:
            Stopped, APIError
        """
        with self._lock:
            self._batch.report(**told)
        if self._batch.status == "cancelling":
            raise Stopped

    def _beat(self) -> None:
        while not self._over.wait(REPORT_SECONDS):
            with suppress(APIError), self._lock:
                self._batch.report()


def main() -> None:
    """Run the order on standard input; print the ended batch's id."""
    order = Order.model_validate_json(sys.stdin.read())
    try:
        with Client() as client:
            batch = run(order, client)
    except Stopped:
        sys.exit("cancelled")
    except (TsukijiError, APIError) as error:
        sys.exit(str(error))
    finally:
        ray.shutdown()
    sys.stdout.write(batch.id + "\n")


if __name__ == "__main__":
    main()
