"""`python -m training.embed FOLDER`: embeds pictures with a backbone, from `survey.json` into a file of features.

Events and commands as of a training (`training/program.py`). What is embedded is saved meanwhile, so an interrupted
run repeats little. Unreadable pictures are skipped.
"""

import sys
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training import program
from training.control import Control
from training.embed_request import EmbeddedPicture, EmbedRequest, read_survey
from training.events import Events, Looked, Phase
from training.features import SAVED_PARTS, VIEWS, Views, keep, view
from training.frozen import Samples, open_frozen
from tsukiji.errors import ImageError
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.decoding.decode import DecodeLimits, decoded, measure
from tsukiji.vision.device import choose_device
from tsukiji.vision.engines import Pixels
from tsukiji.vision.feature_cache import FeatureCache, Size, weights_key
from tsukiji.vision.model import build_on
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.streams import in_streams, parts_of
from tsukiji.vision.weights import load_backbone_weights


class Seen(NamedTuple):
    """A picture, its pixels (1, size, size, 3), and the sizes of what was decoded and of the whole picture."""

    image: EmbeddedPicture
    pixels: Pixels
    decoded: Size
    whole: Size


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
    model = build_on(survey.backbone, body, 1)
    samples = Samples(len(survey.images), partial(read_some, survey, preprocess, control), control.check)
    engine, plan, _ = open_frozen(model, survey.backbone, preprocess, device, survey, samples)
    kept = FeatureCache(survey.features, engine.space, survey.features_bytes)
    names = [image.content for image in survey.images]
    done = set.intersection(*(set(kept.read(names, number, None)) for number in VIEWS))
    missing = [image for image in survey.images if image.content not in done]
    limits = DecodeLimits(**survey.limits)
    events.send(Phase(name="looking"))

    def act(part: Sequence[EmbeddedPicture]) -> tuple[Views, dict[str, Size]]:
        control.check()
        seen = [found for image in part if (found := open_picture(image, preprocess, limits))]
        if not seen:
            return {}, {}
        names, pixels = [each.image.content for each in seen], np.concatenate([each.pixels for each in seen])
        sizes = {each.image.content: each.whole for each in seen}
        return view(engine, model.num_middle, names, pixels, [each.decoded for each in seen]), sizes

    passes, parts = 0, parts_of(missing, plan.batch_size, plan.streams)
    with closing(in_streams(plan, parts, act)) as found:
        while fresh := list(islice(found, SAVED_PARTS)):
            keep(kept, fresh)
            passes += len(fresh)
            events.send(Looked(completed=min(len(missing), passes * len(parts[0])), total=len(missing)))
    if key := weights_key(survey.backbone, survey.image_size, survey.weights_dir):
        kept.name_space(key)


def read_some(survey: EmbedRequest, preprocess: Preprocess, control: Control, most: int) -> Pixels:
    """Return pictures to calibrate a body on, (N, S, S, 3)."""
    found, limits = [], DecodeLimits(**survey.limits)
    for image in survey.images[:: -(-len(survey.images) // most)]:
        control.check()
        if seen := open_picture(image, preprocess, limits):
            found.append(seen.pixels)
    return np.concatenate(found)


def open_picture(image: EmbeddedPicture, preprocess: Preprocess, limits: DecodeLimits) -> Seen | None:
    """Return the picture's pixels, or None if unreadable: other parts of the analysis report that."""
    try:
        data = image.path.read_bytes()
        with decoded(data, limits, crop=image.crop, target_side=preprocess.size) as picture:
            return Seen(image, preprocess.to_pixels([picture]), picture.size, measure(data, limits))
    except (OSError, ImageError) as error:
        sys.stderr.write(f"{image.sha256}: {error}\n")
        return None


if __name__ == "__main__":
    sys.exit(program.run(work))
