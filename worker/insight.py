"""What a model's own held-out images tell of its tags and heatmaps; found when the first of them is asked for."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

import structlog
from PIL import Image

from db import registry
from tsukiji.errors import BlobCorrupt, BlobMissing, ImageError
from tsukiji.labels import split_labels
from tsukiji.vision.decode import decode
from tsukiji.vision.heatmap import Sanity, try_maps
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.tags import Reader, learn
from worker.services import Services

log = structlog.get_logger(__name__)

HEATMAP: Final = "heatmap"
"""Under this name the model's row keeps how its heatmaps fared."""
TRIED_IMAGES: Final = 20
TAUGHT_IMAGES: Final = 200


@dataclass(frozen=True)
class Insight:
    services: Services
    model_id: str
    predictor: Predictor

    @cached_property
    def reader(self) -> Reader | None:
        """What reads the windows of pictures; None where the model's own images are too few or gone.

        It is learnt anew by each worker, in some seconds, from the same images in the same way.
        """
        names = self.predictor.label_names
        held_out = [(image, labels[0]) for image, labels in self._held_out(TAUGHT_IMAGES) if len(labels) == 1]
        known = [(image, names.index(label)) for image, label in held_out if label in names]
        found = learn(self.predictor, [image for image, _ in known], [kind for _, kind in known])
        log.info("windows_learnt", model_id=self.model_id, images=len(known), read=found is not None)
        return found

    @cached_property
    def refusal(self) -> str | None:
        """Why the model shows no heatmaps; None where it does."""
        with self.services.database.reading() as session:
            remembered: dict[str, Any] | None = registry.parity(session, self.model_id).get(HEATMAP)
        if remembered is not None:
            withheld: str | None = remembered["withheld"]
            return withheld
        sanity: Sanity = try_maps(self.predictor, [image for image, _ in self._held_out(TRIED_IMAGES)])
        facts = {"images": sanity.pictures, "beats_random": sanity.beats_random, "withheld": sanity.refusal}
        log.info("heatmaps_tried", model_id=self.model_id, **asdict(sanity))
        with self.services.database.transaction() as session:
            registry.set_parity(session, self.model_id, HEATMAP, facts)
        return sanity.refusal

    def _held_out(self, most: int) -> list[tuple[Image.Image, list[str]]]:
        """Return images that the model's training held out, with their labels, as far as they are still there."""
        with self.services.database.reading() as session:
            rows = registry.held_out_labelled(session, self.model_id, most)
        found, side = [], 2 * self.predictor.preprocess.size
        for sha256, label in rows:
            try:
                data = self.services.store.read(sha256)
                image = decode(data, self.services.decode_limits, target_side=side)
            except (BlobMissing, BlobCorrupt, ImageError) as error:
                log.info("validation_image_gone", sha256=sha256, error=str(error))
            else:
                found.append((image, split_labels(label)))
        return found
