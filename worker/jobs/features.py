"""Features of a data set's pictures: read from where they are kept, and those that are missing computed."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from db.jobs.requests import FeaturesRequest
from db.models import Job
from training.embed_request import EmbeddedPicture, EmbedRequest, write_survey
from training.events import Phase
from tsukiji.errors import BlobCorrupt, BlobMissing, InternalError, TrainingCrashed, WeightsUnavailable
from tsukiji.types import Box
from tsukiji.vision.backbones import backbone_of, find_weights
from tsukiji.vision.feature_cache import FeatureCache, Floats, content_of, find_space, weights_key
from worker.jobs.engine import Engine
from worker.jobs.engine_monitor import EngineMonitor
from worker.jobs.trainings import local, vars_of
from worker.lease import Lease
from worker.services import Services

log = structlog.get_logger(__name__)

LOOKER = "training.embed"
UNBOUNDED = 2**62
"""Bytes of a file of features that goes with its job."""


class Wanted(NamedTuple):
    """A picture, or a part of it."""

    sha256: str
    crop: Box | None = None

    @property
    def content(self) -> str:
        return content_of(self.sha256, self.crop)


class Features:
    """Features by one backbone, of the pictures of one job; `folder` is that of the job's attempt."""

    def __init__(self, services: Services, asked: FeaturesRequest, folder: Path) -> None:
        self._services, self._asked, self._folder = services, asked, folder
        settings = services.settings
        kept = settings.training.features_mb
        self._file = settings.cache_dir / "features.db" if kept else folder / "kept.db"

    def read(self, names: Sequence[str], view: int, width: int) -> dict[str, Floats]:
        """Return what is kept of pictures (by `content_of`), each (width,). No weights are read for that."""
        key = weights_key(self._asked.backbone, self._asked.image_size, self._services.settings.weights_dir)
        space = key and find_space(self._file, key)
        return FeatureCache(self._file, space, 0).read(names, view, width) if space else {}

    def compute(self, pictures: Sequence[Wanted], job: Job, lease: Lease) -> None:
        """Let the backbone look at pictures, in a process of its own; what cannot be read is left out.

        Raises:
            WeightsUnavailable, WeightsInvalid, BackboneUnavailable
            InternalError: the process ended early.
        """
        self._check_weights()
        write_survey(self._folder, self._survey(pictures, lease))
        settings = self._services.settings
        with Engine(self._folder, settings.jobs.stop_seconds, settings.training.threads, LOOKER) as engine:
            try:
                EmbedMonitor(self._services, job, lease, engine).follow()
            except TrainingCrashed as error:  # it is no training, and its next attempt may go better
                raise InternalError(f"The engine process ended. {error.detail}") from error

    def _check_weights(self) -> None:
        """Raise WeightsUnavailable where the engine, which takes seconds to start, could not but say the same."""
        backbone, settings = self._asked.backbone, self._services.settings
        if not settings.weights.download and find_weights(backbone_of(backbone), settings.weights_dir) is None:
            raise WeightsUnavailable(f"Neither the weights folder nor a cache has {backbone}, and downloads are off.")

    def _survey(self, pictures: Sequence[Wanted], lease: Lease) -> EmbedRequest:
        settings, images = self._services.settings, []
        for sha256, crop in pictures:
            lease.check()
            try:
                path = local(self._services, sha256, self._folder / "images" / sha256)
            except (BlobMissing, BlobCorrupt) as error:
                log.info("picture_left_out", error=error.detail)
                continue
            images.append(EmbeddedPicture(path=path, sha256=sha256, crop=crop))
        return EmbedRequest(
            backbone=self._asked.backbone,
            image_size=self._asked.image_size,
            images=images,
            features=self._file,
            features_bytes=settings.training.features_mb * 2**20 or UNBOUNDED,
            weights_dir=settings.weights_dir,
            download=settings.weights.download,
            device=settings.training.device,
            engine=settings.inference.engine,
            precision=settings.inference.precision,
            cache=settings.cache_dir,
            threads=settings.training.threads,
            limits=vars_of(self._services),
        )


class EmbedMonitor(EngineMonitor):
    """Follows the engine while it looks."""

    def _on_phase(self, event: Phase) -> None:
        """The job's phases are its own."""
