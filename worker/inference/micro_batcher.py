"""The micro-batcher of the predict RPC: classifies pictures for loaded models in as few forward passes as possible.

All requests that wait for the same model when a pass ends share the next one. No request waits for others to arrive,
and many concurrent callers cost few passes. A single picture uses all cores; several are divided among the plan's
streams. Chunks of batches run concurrently, on fewer cores meanwhile.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import structlog

from tsukiji.errors import ImageError
from tsukiji.kernel.metrics import meters
from tsukiji.kernel.predict_rpc import Frame
from tsukiji.vision.engines import Pixels
from tsukiji.vision.execution_plan import take_all_cores
from tsukiji.vision.predictor import Answers, Predictor
from worker.inference.batch_inference import look_at, results_of
from worker.inference.model_cache import ModelCache
from worker.inference.predict_rpc import Refused
from worker.services import Services
from worker.shutdown import stopping

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 256
"""Pictures. More would wait for seconds; further requests are refused, and go to the queue."""
PATIENCE_SECONDS: Final = 60


@dataclass(frozen=True)
class PredictRequest:
    """The readable pictures of one prediction, preprocessed, and a future for the results."""

    model_id: str
    pictures: list[Pixels]
    answers: "Future[tuple[Answers, int]]" = field(default_factory=Future)
    """Results of the whole pass, and the position of this request's first picture."""


class MicroBatcher:
    """Called by many threads, computes in one of its own."""

    def __init__(self, services: Services, models: ModelCache) -> None:
        self._services, self._models = services, models
        self._asked = threading.Condition()
        self._waiting: list[PredictRequest] = []
        self._streams: ThreadPoolExecutor | None = None
        threading.Thread(target=self._work, name="micro-batcher", daemon=True).start()

    def ask(self, model_id: str, files: list[bytes]) -> Frame:
        """Return the results for files: `rows`, one for each, and the probabilities of the readable ones.

        Raises:
            Refused: use the queue instead.
        """
        predictor = self._models.warm(model_id)
        if predictor is None:
            raise Refused("cold")
        rows: list[dict[str, Any]] = []
        pictures = []
        for data in files:
            try:
                picture = look_at(data, self._services.decode_limits, predictor.preprocess)
                pictures.append(picture.pixels)
                rows.append({"width": picture.width, "height": picture.height})
            except ImageError as error:
                rows.append({"error": error.to_dict()})
        if not pictures:
            return {"rows": rows}, []
        answers, place = self._put(PredictRequest(model_id, pictures)).answers.result(PATIENCE_SECONDS)
        mine = slice(place, place + len(pictures))
        known = None if answers.known_scores is None else answers.known_scores[mine]
        found, parts = iter(results_of(predictor, Answers(answers.probabilities[mine], known))), []
        for row in rows:
            if "error" not in row:
                row.update(next(found))
                if "error" not in row:
                    parts.append(row.pop("probabilities"))
        return {"rows": rows}, parts

    def _put(self, request: PredictRequest) -> PredictRequest:
        with self._asked:
            if stopping.is_set() or sum(len(other.pictures) for other in self._waiting) >= MOST_WAITING:
                raise Refused("busy")
            self._waiting.append(request)
            self._asked.notify()
        return request

    def _work(self) -> None:
        take_all_cores()
        while not stopping.is_set():
            with self._asked:
                if not self._asked.wait_for(lambda: self._waiting, 0.5):
                    continue
            group = list(self._gather())
            try:
                self._answer(group)
            except Exception as error:  # no request may end the thread that serves all
                log.warning("lane_failed", exc_info=error)
                refuse(group, "failed")
        with self._asked:
            refuse(self._waiting, "stopping")
        if self._streams:
            self._streams.shutdown()

    def _gather(self) -> Iterator[PredictRequest]:
        """Take the requests for the same model as the oldest one, up to one pass per stream."""
        with self._asked:
            model_id = self._waiting[0].model_id
            predictor = self._models.warm(model_id)
            most = predictor.batch_size * streams_of(predictor) if predictor else 0
            room = max(most, len(self._waiting[0].pictures))
            for request in [other for other in self._waiting if other.model_id == model_id]:
                room -= len(request.pictures)
                if room < 0:
                    return
                self._waiting.remove(request)
                yield request

    def _answer(self, group: list[PredictRequest]) -> None:
        predictor = self._models.warm(group[0].model_id)
        if predictor is None:
            refuse(group, "cold")
            return
        parts = shared_out(group, streams_of(predictor))
        if len(parts) == 1:
            look(predictor, group)
            return
        if self._streams is None:  # kept open: torch threads are slow to start
            plan = predictor.plan
            self._streams = ThreadPoolExecutor(plan.streams, "micro-batcher", initializer=plan.begin_stream)
        wait([self._streams.submit(look, predictor, part) for part in parts])


def streams_of(predictor: Predictor) -> int:
    """Return how many passes may run concurrently; on a GPU they would only wait for each other."""
    return predictor.plan.streams if predictor.plan.device == "cpu" else 1


def shared_out(group: list[PredictRequest], parts: int) -> list[list[PredictRequest]]:
    """Deal the questions out, so that each part has about as many pictures."""
    found: list[list[PredictRequest]] = [[] for _ in range(min(parts, len(group)))]
    for request in sorted(group, key=lambda request: -len(request.pictures)):
        min(found, key=lambda part: sum(len(other.pictures) for other in part)).append(request)
    return found


def look(predictor: Predictor, group: list[PredictRequest]) -> None:
    """Answer questions in one pass."""
    try:
        pixels = np.concatenate([picture for request in group for picture in request.pictures])
        with meters().forward_seconds.time():
            answers = predictor.conclude(predictor.embed_pixels(pixels))
        meters().forward_images.inc(len(pixels))
    except Exception as error:
        log.warning("lane_failed", exc_info=error)
        refuse(group, "failed")
        return
    place = 0
    for request in group:
        request.answers.set_result((answers, place))
        place += len(request.pictures)
    log.debug("lane_answered", predictions=len(group), images=place)


def refuse(questions: list[PredictRequest], why: str) -> None:
    for request in questions:
        if not request.answers.done():
            request.answers.set_exception(Refused(why))
