"""Models kept warm: a package is fetched from the store once, and stays loaded until others push it out."""

import shutil
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import structlog

from tsukiji.vision.predictor import Predictor
from worker.packages import fetch_package
from worker.services import Services

log = structlog.get_logger(__name__)


class ModelCache:
    """The least recently used model goes first. `get` is for one thread, `warm` for any."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._warm: OrderedDict[str, Predictor] = OrderedDict()

    def get(self, model_id: str) -> Predictor:
        """Return a loaded model.

        Raises:
            ModelGone: it was deleted.
            PackageInvalid, BlobMissing, BlobCorrupt: its package is damaged.
        """
        if model_id not in self._warm:
            inference = self._services.settings.inference
            self._warm[model_id] = Predictor.load(self._fetch(model_id), inference.device, inference.batch_size)
            log.info("model_loaded", model_id=model_id, device=str(self._warm[model_id].device))
            while len(self._warm) > inference.models:
                self._warm.popitem(last=False)
        self._warm.move_to_end(model_id)
        return self._warm[model_id]

    def warm(self, model_id: str) -> Predictor | None:
        """Return a model that is loaded already."""
        found = self._warm.get(model_id)
        with suppress(KeyError):  # it was pushed out at this very moment
            self._warm.move_to_end(model_id)
        return found

    def _fetch(self, model_id: str) -> Path:
        """Make the package's folder from its blobs, whole or not at all."""
        folder = self._services.work_folder(f"models-{self._services.worker}") / model_id
        shutil.rmtree(folder, ignore_errors=True)
        fetch_package(self._services, model_id, folder)
        return folder
