"""Checks on a model's own validation images whether it may run in a lower precision; the row stores the result."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
from PIL import Image

from db import registry
from tsukiji.errors import BlobCorrupt, BlobMissing, ImageError
from tsukiji.vision import package
from tsukiji.vision.decoding.decode import decoded
from tsukiji.vision.engines.selection import choose, choose_as
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.preprocess import Preprocess
from worker.services import Services

log = structlog.get_logger(__name__)

EXACT: Final = "float32"
LEAST_AGREEMENT: Final = 0.995
"""Of the likeliest labels; for multi-label models, of the predicted sets."""
LEAST_IMAGES: Final = 20
"""With fewer, the model runs in float32."""
MOST_IMAGES: Final = 200
PART: Final = 32


def load(services: Services, model_id: str, folder: Path) -> tuple[Predictor, dict[str, Any]]:
    """Return a model's predictor, and how it computes in plain words.

    As the model was evaluated, if this machine is able to. Otherwise, and for models of earlier versions, in the
    machine's fastest precision, if the model's own images agree, or in float32.

    Raises:
        PackageInvalid: the package is damaged.
    """
    settings, cache = services.settings.inference, services.settings.cache_dir
    told = package.read_calibration(folder).execution
    if told and (plan := choose_as(told, settings, cache, int8=(folder / package.INT8).exists())):
        return Predictor.planned(folder, plan, cache), plan.to_dict()
    predictor, facts = agreeing(services, model_id, folder, choose(settings, cache, int8=False))
    return predictor, facts | {"evaluated": told and told.model_dump()}


def agreeing(services: Services, model_id: str, folder: Path, plan: Plan) -> tuple[Predictor, dict[str, Any]]:
    """Return a model's predictor with a plan, in float32 unless its own images agree, and why."""
    settings, cache = services.settings.inference, services.settings.cache_dir
    if plan.precision == EXACT:
        return Predictor.planned(folder, plan, cache), plan.to_dict()
    plainly = choose(settings.model_copy(update={"precision": EXACT}), cache)
    found = remembered(services, model_id, plan)
    if found is None:
        both = Predictor.planned(folder, plan, cache), Predictor.planned(folder, plainly, cache)
        found = compare(services, model_id, *both)
        remember(services, model_id, plan, found)
        predictor = both[0] if good(found) else both[1]
    else:
        predictor = Predictor.planned(folder, plan if good(found) else plainly, cache)
    log.info("precision_chosen", model_id=model_id, precision=predictor.plan.precision, **found)
    return predictor, predictor.plan.to_dict() | {"parity": {"precision": plan.precision, **found}}


def good(found: Mapping[str, Any]) -> bool:
    """Return whether enough images agree in both precisions."""
    return bool(found["images"] >= LEAST_IMAGES and found["top1_agreement"] >= LEAST_AGREEMENT)


def compare(services: Services, model_id: str, lowered: Predictor, exact: Predictor) -> dict[str, Any]:
    """Return how many validation images were classified in both precisions, and the fraction that agrees."""
    agreed, shown = 0, 0
    for pictures in validation_images(services, model_id, exact.preprocess):
        pixels = exact.preprocess.to_pixels(pictures)
        logits = [each.decide(each.embed_pixels(pixels)) for each in (lowered, exact)]
        ours, theirs = (each.verdicts(said) for each, said in zip((lowered, exact), logits, strict=True))
        alike = (ours == theirs).all(axis=1) & np.isfinite(logits).all(axis=(0, 2))  # NaN is no agreement
        agreed, shown = agreed + int(alike.sum()), shown + len(pictures)
    return {"images": shown, "top1_agreement": agreed / shown if shown else 0.0}


def validation_images(services: Services, model_id: str, preprocess: Preprocess) -> Iterator[Sequence[Image.Image]]:
    """Yield some of the images held out by the model's training, preprocessed, as far as they still exist."""
    with services.database.reading() as session:
        hashes = registry.held_out(session, model_id, MOST_IMAGES)
    for start in range(0, len(hashes), PART):
        pictures = []
        for sha256 in hashes[start : start + PART]:
            try:
                data = services.store.read(sha256)
                with decoded(data, services.decode_limits, target_side=preprocess.size) as picture:
                    pictures.append(preprocess.fit(picture))
            except (BlobMissing, BlobCorrupt, ImageError) as error:
                log.info("validation_image_gone", sha256=sha256, error=str(error))
        if pictures:
            yield pictures


def remembered(services: Services, model_id: str, plan: Plan) -> dict[str, Any] | None:
    with services.database.reading() as session:
        return registry.parity(session, model_id).get(name_of(plan))


def remember(services: Services, model_id: str, plan: Plan, found: dict[str, Any]) -> None:
    with services.database.transaction() as session:
        registry.set_parity(session, model_id, name_of(plan), found)


def name_of(plan: Plan) -> str:
    """Return a name for precision, engine and device: others round differently."""
    engine = "" if plan.engine == "torch" else f" by {plan.engine}"
    return f"{plan.precision}{engine} on {plan.device.partition(':')[0]}"
