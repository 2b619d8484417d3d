"""`python -m training.embed FOLDER`: embeds pictures with a backbone, from `survey.json` into a file of features.

Events and commands as of a training (`training/program.py`). What is embedded is saved meanwhile, so an interrupted
run repeats little. Unreadable pictures are skipped.
"""

import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from training import program
from training.control import Control
from training.crop_regions import find_region
from training.embed_request import EmbeddedPicture, EmbedRequest, read_survey
from training.events import Events, Looked, Phase
from training.features import SAVED_PARTS
from training.frozen import Samples, open_frozen
from training.random_projection import compact
from tsukiji.errors import ImageError
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.decoding.decode import DecodeLimits, decoded, measure
from tsukiji.vision.device import choose_device
from tsukiji.vision.engines import Engine, Pixels
from tsukiji.vision.feature_cache import COMPACT, PLAIN, REGION, FeatureCache, Floats, Size, weights_key
from tsukiji.vision.model import build_on
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.streams import in_streams, parts_of
from tsukiji.vision.weights import load_backbone_weights

VIEWS: Final = (REGION, PLAIN, COMPACT)

Found = dict[int, dict[str, Floats]]
"""By view, what was found of pictures by `content`."""


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
    done = set.intersection(*(set(kept.read(names, view, None)) for view in VIEWS))
    missing = [image for image in survey.images if image.content not in done]
    limits = DecodeLimits(**survey.limits)
    events.send(Phase(name="looking"))

    def act(part: Sequence[EmbeddedPicture]) -> tuple[Found, dict[str, Size]]:
        control.check()
        seen = [found for image in part if (found := open_picture(image, preprocess, limits))]
        sizes = {each.image.content: each.whole for each in seen}
        return (embed(engine, model.num_middle, seen) if seen else {}), sizes

    passes, parts = 0, parts_of(missing, plan.batch_size, plan.streams)
    with closing(in_streams(plan, parts, act)) as found:
        while fresh := list(islice(found, SAVED_PARTS)):
            sizes = {name: size for _, part in fresh for name, size in part.items()}
            for view in VIEWS:
                kept.write({name: row for part, _ in fresh for name, row in part.get(view, {}).items()}, view, sizes)
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


def embed(engine: Engine, num_middle: int, batch: Sequence[Seen]) -> Found:
    """Return region, embedding and compact embedding of each picture."""
    embeddings, summed = engine.look(np.concatenate([seen.pixels for seen in batch]))
    names = [seen.image.content for seen in batch]
    regions = [np.array(find_region(each, *seen.decoded), np.float32) for each, seen in zip(summed, batch, strict=True)]
    rows: tuple[Iterable[Floats], ...] = (regions, embeddings, compact(embeddings, num_middle))
    return {view: dict(zip(names, each, strict=True)) for view, each in zip(VIEWS, rows, strict=True)}


if __name__ == "__main__":
    sys.exit(program.run(work))
