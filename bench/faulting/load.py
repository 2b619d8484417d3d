"""Simulated users over HTTP: they submit, retry until answered, poll, and sometimes cancel.

Requests and responses are recorded for the checker. Every request carries an Idempotency-Key.
"""

import hashlib
import io
import random
import threading
import time
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
from PIL import Image

from tsukiji.jobs import TERMINAL, JobKind, JobStatus

RECIPE: Final = {"backbone": "resnet18", "image_size": 32, "batch_size": 8, "pretrained": False}
COLOURS: Final = {"sea": (30, 70, 160), "sun": (220, 160, 40)}
PER_CLASS: Final = 12
SIDE: Final = 160
AT_ONCE: Final = {JobKind.BATCH: 3, JobKind.TRAINING: 1, JobKind.IMPORT: 1}
"""Unfinished jobs of each kind: few enough to find a free worker, so that a wait for one is a wait for recovery."""
CANCELLED: Final = 0.12
SENT_TWICE: Final = 0.25
ARCHIVED: Final = 0.3
IN_PARTS: Final = 0.25
"""Share of batches with Parquet output: of these, half in the place of the lesson."""
PAUSE_SECONDS: Final = 0.4


class NotAnswered(Exception):
    """The service did not accept a request in time, or refused one that it should accept."""


@dataclass
class Accepted:
    """An accepted job."""

    id: str
    kind: JobKind
    sent: dict[str, str] = field(default_factory=dict)
    """sha256 by custom id, or by name in the archive."""
    epochs: int = 0
    dataset: str = ""
    parts: bool = False
    """Its results are Parquet files."""
    cancelled: bool = False
    told: str = ""
    """The first final state reported by the service; it must be the last one too."""


@dataclass(frozen=True)
class Lesson:
    """Made before the faults: a data set to train on, and a model to classify with.

    `pictures` are those of the data set, as `Accepted.sent`; `place` is the URL of a folder or prefix for results.
    """

    training: str
    dataset: str
    model: str
    pictures: dict[str, str]
    place: str


class Users:
    """One thread for batches, one for trainings and imports."""

    def __init__(self, url: str, key: str, seed: int, lesson: Lesson) -> None:
        self.accepted = [Accepted(lesson.training, JobKind.TRAINING, epochs=1, told=JobStatus.SUCCEEDED)]
        self.twice: list[str] = []
        self.unanswered: list[str] = []
        self.stop = threading.Event()
        self.deadline = float("inf")
        self._lesson = lesson
        self._http = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=20
        )
        self._calm = random.Random(f"{seed}-calm")
        self._threads = [
            threading.Thread(target=self._live, args=(random.Random(f"{seed}-{number}"), kinds), daemon=True)
            for number, kinds in enumerate(((JobKind.BATCH,), (JobKind.TRAINING, JobKind.IMPORT)))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self, seconds: float) -> None:
        """Stop submitting; wait for pending responses and jobs."""
        self.deadline = time.monotonic() + seconds
        self.stop.set()

    def try_out(self, seconds: float) -> list[JobKind]:
        """Submit one job of each kind, and return the kinds that did not finish in time."""
        self.deadline = time.monotonic() + seconds
        waiting: list[Accepted] = []
        for kind in AT_ONCE:
            self._guard(self._submit, self._calm, kind, waiting)
        while waiting and time.monotonic() < self.deadline:
            time.sleep(PAUSE_SECONDS)
            for job in waiting:
                self._guard(self._ask, job)
            waiting = [job for job in waiting if not job.told]
        return [job.kind for job in waiting]

    @property
    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        self.finish(0)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._http.close()

    def _live(self, chance: random.Random, kinds: tuple[JobKind, ...]) -> None:
        waiting: list[Accepted] = []
        while not self.stop.is_set() or (waiting and time.monotonic() < self.deadline):
            for kind in kinds:
                if not self.stop.is_set() and sum(job.kind == kind for job in waiting) < AT_ONCE[kind]:
                    self._guard(self._submit, chance, kind, waiting)
            for job in waiting:
                self._guard(self._ask, job)
            waiting = [job for job in waiting if not job.told]
            time.sleep(PAUSE_SECONDS)

    def _guard(self, act: Callable[..., None], *arguments: Any) -> None:
        try:
            act(*arguments)
        except NotAnswered as error:
            self.unanswered.append(str(error))

    def _submit(self, chance: random.Random, kind: JobKind, waiting: list[Accepted]) -> None:
        makers = {JobKind.BATCH: self._batch, JobKind.TRAINING: self._training, JobKind.IMPORT: self._import}
        path, job, content = makers[kind](chance)
        content.setdefault("headers", {})["Idempotency-Key"] = new_key(chance)
        job.id = self.call("POST", path, **content)["id"]
        self.accepted.append(job)
        waiting.append(job)
        if chance.random() < SENT_TWICE:
            again = self.call("POST", path, **content)["id"]
            if again != job.id:
                self.accepted.append(Accepted(again, kind))
                self.twice.append(f"{job.id} and {again} came of one Idempotency-Key")
        if kind != JobKind.IMPORT and chance.random() < CANCELLED:
            time.sleep(chance.uniform(0, 1.5))
            job.cancelled = True
            self.call("POST", f"/v1/jobs/{job.id}/cancel")

    def _batch(self, chance: random.Random) -> tuple[str, Accepted, dict[str, Any]]:
        if chance.random() < IN_PARTS:
            output = {"to": "parquet"} | ({"url": self._lesson.place} if chance.random() < 0.5 else {})
            body = {"model": self._lesson.model, "input": {"dataset": self._lesson.dataset}, "output": output}
            return "/v1/batches", Accepted("", JobKind.BATCH, self._lesson.pictures, parts=True), {"json": body}
        pictures = make_pictures(chance, chance.randint(8, 24))
        sent = {name: hashlib.sha256(data).hexdigest() for name, data in pictures.items()}
        job = Accepted("", JobKind.BATCH, sent)
        if chance.random() < ARCHIVED:
            return "/v1/batches", job, archive(pictures) | {"params": {"model": self._lesson.model}}
        files = [("files", (name, data, "image/png")) for name, data in pictures.items()]
        return "/v1/batches", job, {"files": files, "data": {"model": self._lesson.model, "custom_ids": list(pictures)}}

    def _training(self, chance: random.Random) -> tuple[str, Accepted, dict[str, Any]]:
        epochs = chance.randint(2, 3)
        body = {
            "dataset": self._lesson.dataset,
            "recipe": RECIPE | {"epochs": epochs},
            "name": f"load-{chance.random()}",
        }
        return "/v1/trainings", Accepted("", JobKind.TRAINING, epochs=epochs), {"json": body}

    def _import(self, chance: random.Random) -> tuple[str, Accepted, dict[str, Any]]:
        pictures = make_pictures(chance, chance.randint(8, 24))
        body = {"name": f"import-{chance.getrandbits(64):x}"}
        dataset = self.call("POST", "/v1/datasets", headers={"Idempotency-Key": new_key(chance)}, json=body)["id"]
        sent = {name: hashlib.sha256(data).hexdigest() for name, data in pictures.items()}
        return f"/v1/datasets/{dataset}/imports", Accepted("", JobKind.IMPORT, sent, dataset=dataset), archive(pictures)

    def _ask(self, job: Accepted) -> None:
        status = self.call("GET", f"/v1/jobs/{job.id}")["status"]
        job.told = status if status in TERMINAL else ""

    def call(self, method: str, path: str, **content: Any) -> Any:
        """Retry until there is a response, as a patient user does.

        Raises:
            NotAnswered: the service refused, or time is over.
        """
        while True:
            try:
                response = self._http.request(method, path, **content)
                reason = f"{response.status_code} {response.text[:300]}"
                if response.status_code < 400:
                    return response.json()
                if response.status_code < 500 and response.status_code not in {408, 409, 429}:
                    raise NotAnswered(f"refused: {method} {path}: {reason}")
            except httpx2.TransportError as error:
                reason = repr(error)
            if time.monotonic() > self.deadline:
                raise NotAnswered(f"not answered: {method} {path}: {reason}")
            time.sleep(PAUSE_SECONDS)


def new_key(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128)))


def make_pictures(chance: random.Random, count: int) -> dict[str, bytes]:
    """Return PNG files by name, a colour each with noise; all different, also across runs."""
    pictures = {}
    for number in range(count):
        label = list(COLOURS)[number % len(COLOURS)]
        grain = Image.frombytes("RGB", (SIDE // 4, SIDE // 4), chance.randbytes(3 * (SIDE // 4) ** 2))
        picture = Image.blend(Image.new("RGB", (SIDE, SIDE), COLOURS[label]), grain.resize((SIDE, SIDE)), 0.3)
        file = io.BytesIO()
        picture.save(file, "PNG", compress_level=1)
        pictures[f"{label}/{number:02}-{chance.getrandbits(32):08x}.png"] = file.getvalue()
    return pictures


def archive(pictures: dict[str, bytes]) -> dict[str, Any]:
    """Return a zip as the content of a request."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for name, data in pictures.items():
            target.writestr(name, data)
    return {"content": file.getvalue(), "headers": {"Content-Type": "application/zip"}}
