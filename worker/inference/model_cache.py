"""Cache of loaded models: a package is fetched from the store once, and stays loaded until evicted."""

import shutil
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from tsukiji.kernel.metrics import meters
from tsukiji.vision.engines.selection import choose
from tsukiji.vision.predictor import Predictor
from worker.inference import precision_check
from worker.inference.explanation_calibration import ExplanationCalibration
from worker.inference.model_packages import fetch_package
from worker.memory import give_back_now
from worker.services import Services

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A model, and its execution plan in plain words."""

    predictor: Predictor
    engine: dict[str, Any]
    calibration: ExplanationCalibration


class ModelCache:
    """Holds as many models as fit in the memory limit, at least one; evicts the least recently used.

    `get` is for one thread, `warm` for any.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._warm: OrderedDict[str, Loaded] = OrderedDict()

    def prepare(self) -> None:
        """Measure the engines of this machine, if that was not done yet: some seconds, once."""
        choose(self._services.settings.inference, self._services.settings.cache_dir)

    def get(self, model_id: str) -> Loaded:
        """Return a loaded model.

        Raises:
            ModelGone: it was deleted.
            PackageInvalid, BlobMissing, BlobCorrupt: its package is damaged.
        """
        loaded = model_id in self._warm
        meters().model_cache.labels("hit" if loaded else "miss").inc()
        if not loaded:
            folder = self._fetch(model_id)
            try:
                with meters().model_load_seconds.time():
                    predictor, engine = precision_check.load(self._services, model_id, folder)
            finally:  # it is in memory now; a folder per model and worker would fill the disk
                shutil.rmtree(folder, ignore_errors=True)
            log.info("model_loaded", model_id=model_id, **engine)
            self._warm[model_id] = Loaded(
                predictor, engine, ExplanationCalibration(self._services, model_id, predictor)
            )
            while len(self._warm) > 1 and self._bytes > self._services.settings.inference.models_mb * 2**20:
                self._warm.popitem(last=False)
            meters().models_loaded_bytes.set(self._bytes)
            give_back_now()  # files were read, and perhaps a network in two precisions
        self._warm.move_to_end(model_id)
        return self._warm[model_id]

    def warm(self, model_id: str) -> Predictor | None:
        """Return a model if it is loaded."""
        found = self._warm.get(model_id)
        with suppress(KeyError):  # it was evicted concurrently
            self._warm.move_to_end(model_id)
        return found.predictor if found else None

    @property
    def _bytes(self) -> int:
        return sum(loaded.predictor.bytes for loaded in self._warm.values())

    def _fetch(self, model_id: str) -> Path:
        """Create the package's folder from its blobs, atomically."""
        folder = self._services.work_folder(f"models-{self._services.worker}") / model_id
        shutil.rmtree(folder, ignore_errors=True)
        fetch_package(self._services, model_id, folder)
        return folder
