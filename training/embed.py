"""`python -m training.embed FOLDER`: embeds pictures with a backbone, from `survey.json` into a file of features.

Events and commands as of a training (`training/program.py`). Each batch is saved when done, so an interrupted run
resumes without repeating work. Unreadable pictures are skipped.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch

from training import program
from training.control import Control
from training.crop_regions import find_region
from training.embed_request import EmbeddedPicture, EmbedRequest, read_survey
from training.events import Events, Looked, Phase
from training.features import BATCH, ahead, frozen
from training.random_projection import compact
from tsukiji.errors import ImageError
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.decoding.decode import DecodeLimits, decoded
from tsukiji.vision.device import choose_device
from tsukiji.vision.execution_plan import best_precision
from tsukiji.vision.feature_cache import COMPACT, PLAIN, REGION, FeatureCache, Floats, space_of, weights_key
from tsukiji.vision.model import Classifier
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.weights import load_backbone_weights

TOLD: Final = 4
"""Batches between two reports of progress."""

Seen = tuple[EmbeddedPicture, Floats, tuple[int, int]]
"""A picture, its pixels (3, size, size), and its width and height."""


def work(folder: Path, events: Events, control: Control) -> None:
    """Embed what `folder` lists. Raises what `look` raises."""
    look(read_survey(folder), events, control)


def look(survey: EmbedRequest, events: Events, control: Control) -> None:
    """Save embedding, compact embedding and region of every picture.

    Raises:
        Cancelled
        WeightsUnavailable, WeightsInvalid, BackboneUnavailable
    """
    events.send(Phase(name="loading"))
    body, _ = load_backbone_weights(survey.backbone, folder=survey.weights_dir, download=survey.download)
    preprocess, device = preprocess_of(survey.backbone, survey.image_size), choose_device(survey.device)
    precision = best_precision(device)
    space = space_of(body, survey.backbone, preprocess, precision)
    kept = FeatureCache(survey.features, space, survey.features_bytes)
    model = frozen(survey.backbone, body, device, precision)
    names = [image.content for image in survey.images]
    done = set.intersection(*(set(kept.read(names, view, None)) for view in (REGION, PLAIN, COMPACT)))
    missing = [image for image in survey.images if image.content not in done]
    events.send(Phase(name="looking"))
    opened = partial(open_picture, preprocess=preprocess, limits=DecodeLimits(**survey.limits))
    for number, (_, found) in enumerate(ahead(missing, opened)):
        control.check()
        if batch := [seen for seen in found if seen]:
            keep(kept, model, batch, device)
        if number % TOLD == 0:
            events.send(Looked(completed=min(len(missing), (number + 1) * BATCH), total=len(missing)))
    if key := weights_key(survey.backbone, survey.image_size, survey.weights_dir):
        kept.name_space(key)


def open_picture(image: EmbeddedPicture, preprocess: Preprocess, limits: DecodeLimits) -> Seen | None:
    """Return the picture's pixels, or None if unreadable: other parts of the analysis report that."""
    try:
        with decoded(image.path.read_bytes(), limits, crop=image.crop, target_side=preprocess.size) as picture:
            return image, preprocess.to_array([picture])[0], picture.size
    except (OSError, ImageError) as error:
        sys.stderr.write(f"{image.sha256}: {error}\n")
        return None


@torch.inference_mode()
def keep(kept: FeatureCache, model: Classifier, batch: Sequence[Seen], device: torch.device) -> None:
    pixels = torch.from_numpy(np.stack([values for _, values, _ in batch])).to(device, model.dtype)
    embeddings, maps = (part.cpu().numpy() for part in model.look(pixels))
    names = [image.content for image, _, _ in batch]
    regions = [np.array(find_region(each, *size), np.float32) for each, (_, _, size) in zip(maps, batch, strict=True)]
    kept.write(dict(zip(names, regions, strict=True)), REGION)
    kept.write(dict(zip(names, embeddings, strict=True)), PLAIN)
    kept.write(dict(zip(names, compact(embeddings, model.num_middle), strict=True)), COMPACT)


if __name__ == "__main__":
    sys.exit(program.run(work))
