"""Calibration of tags and heatmaps on the model's own images, on first use."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

import structlog
from PIL import Image

from db import registry
from tsukiji.curation import snapshots
from tsukiji.errors import BlobCorrupt, BlobMissing, ImageError
from tsukiji.explain.heatmap_validation import try_maps
from tsukiji.explain.tags import Reader
from tsukiji.explain.window_regression import Example, learn
from tsukiji.labels import split_labels
from tsukiji.types import Box
from tsukiji.vision.decoding.decode import decoded
from tsukiji.vision.predictor import Predictor
from worker.services import Services

log = structlog.get_logger(__name__)

HEATMAP: Final = "heatmap"
"""Under this name the model's row stores how its heatmaps performed."""
TRIED_IMAGES: Final = 20
HELD_OUT_IMAGES: Final = 200
LEARNT_IMAGES: Final = 400
"""Most images to fit the window reader on."""
MORE_SIDE: Final = 2
"""Pictures are decoded for this multiple of the side of a plain pass."""
Labelled = tuple[Image.Image, list[str]]


@dataclass(frozen=True)
class ExplanationCalibration:
    services: Services
    model_id: str
    predictor: Predictor

    @cached_property
    def reader(self) -> Reader | None:
        """The fitted reader of windows; None if the model's own images are too few or gone.

        Each worker fits it again, in some seconds, deterministically from the same images.
        """
        held_out, learnt = self._examples(self._held_out(HELD_OUT_IMAGES)), self._examples(self._learnt(LEARNT_IMAGES))
        found = learn(self.predictor, held_out + learnt)
        facts = {"held_out": len(held_out), "learnt": len(learnt), "read": found is not None}
        log.info("windows_learnt", model_id=self.model_id, **facts)
        return found

    @cached_property
    def heatmaps(self) -> dict[str, Any]:
        """The `method` of heatmaps, and why they are `withheld` (None if they are not)."""
        with self.services.database.reading() as session:
            remembered: dict[str, Any] | None = registry.parity(session, self.model_id).get(HEATMAP)
        if remembered is not None and "method" in remembered:  # without it: tested by a version with one method
            return remembered
        sanity = try_maps(self.predictor, [image for image, _ in self._held_out(TRIED_IMAGES)])
        facts = {
            "images": sanity.pictures,
            "method": sanity.method,
            "beats_random": sanity.beats_random,
            "withheld": sanity.refusal,
        }
        log.info("heatmaps_tried", model_id=self.model_id, **asdict(sanity))
        with self.services.database.transaction() as session:
            registry.set_parity(session, self.model_id, HEATMAP, facts)
        return facts

    def _held_out(self, most: int) -> Iterator[Labelled]:
        """Yield images held out by the model's training, as far as they still exist."""
        with self.services.database.reading() as session:
            rows = registry.held_out_labelled(session, self.model_id, most)
        return self._open((sha256, label, None) for sha256, label in rows)

    def _learnt(self, most: int) -> Iterator[Labelled]:
        """Yield its training images, spread evenly; none of an imported model."""
        with self.services.database.reading() as session:
            sha256 = registry.snapshot_of(session, self.model_id)
        if sha256 is None:
            return iter(())
        items = [item for item in snapshots.loads(self.services.store.read(sha256)) if item.split == "train"]
        return self._open((item.sha256, item.label, item.crop) for item in items[:: -(-len(items) // most) or 1])

    def _open(self, rows: Iterable[tuple[str, str, Box | None]]) -> Iterator[Labelled]:
        side = MORE_SIDE * self.predictor.preprocess.size
        for sha256, label, crop in rows:
            try:
                data = self.services.store.read(sha256)
                with decoded(data, self.services.decode_limits, crop=crop, target_side=side) as picture:
                    picture.thumbnail((2 * side, 2 * side))  # hundreds of them are in memory at once
                    image = picture.copy()
            except (BlobMissing, BlobCorrupt, ImageError) as error:
                log.info("image_of_model_gone", sha256=sha256, error=str(error))
            else:
                yield image, split_labels(label)

    def _examples(self, images: Iterable[Labelled]) -> list[Example]:
        """Return images with exactly one of the model's labels."""
        names = self.predictor.label_names
        return [(image, names.index(labels[0])) for image, labels in images if len(labels) == 1 and labels[0] in names]
