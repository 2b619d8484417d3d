"""Tags and their peers on collages: one whole-image prediction, and each window cropped and classified."""

import io
import statistics
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image

from bench.mixing.photos import Mixture, Photo
from tsukiji.explain.tags import LEAST_SURE, Reader, Tag, find_tags, look_at, to_pixels
from tsukiji.explain.windows import boxes_of
from tsukiji.types import Box
from tsukiji.vision.decoding.decode import decode
from tsukiji.vision.predictor import Predictor

WHOLE_THRESHOLD = 0.5
Find = Callable[[Image.Image], list[Tag]]


def measure(
    predictor: Predictor, reader: Reader | None, mixtures: Sequence[Mixture], empty: Sequence[Photo]
) -> dict[str, float]:
    """Return what stands in the table of `bench.many_kinds` about tags."""

    def ours(image: Image.Image) -> list[Tag]:
        return find_tags(predictor, image, reader)

    def brute(image: Image.Image) -> list[Tag]:
        return look_at(predictor, image, [to_pixels(box, image.size) for box in boxes_of(*image.size)[1:]], side=1)

    truth = [mixture.labels for mixture in mixtures]
    tags = [ours(mixture.image) for mixture in mixtures]
    kept = statistics.mean(not ours(photo.open()) for photo in empty)
    forced = [brute(mixture.image) for mixture in mixtures]
    # A hundred windows have more chances to be wrong: their bar is where they are wrong on as many empty photos.
    nothing = [brute(photo.open()) for photo in empty]
    bar = float(np.quantile([max(tag.sureness for tag in found) for found in nothing], kept, method="higher"))
    whole = predictor.predict([mixture.image for mixture in mixtures])
    return {
        "tags_f1": micro_f1(truth, map(named, tags)),
        "whole_image_f1": micro_f1(truth, above(predictor, whole, WHOLE_THRESHOLD)),
        "whole_image_best_f1": max(micro_f1(truth, above(predictor, whole, t)) for t in np.linspace(0.02, 0.9, 45)),
        "brute_force_f1": micro_f1(truth, (named(surer(found, bar)) for found in forced)),
        "brute_force_our_bar_f1": micro_f1(truth, (named(surer(found, LEAST_SURE)) for found in forced)),
        "pointing_accuracy": pointing(mixtures, tags),
        "brute_force_pointing_accuracy": pointing(mixtures, [surer(found, bar) for found in forced]),
        "empty_kept_empty": kept,
        "brute_force_our_bar_empty_kept_empty": statistics.mean(not surer(found, LEAST_SURE) for found in nothing),
        **costs(predictor, mixtures, ours, brute),
    }


def measure_without_frames(
    predictor: Predictor, reader: Reader | None, scenes: Sequence[Mixture], photos: Sequence[Photo]
) -> dict[str, float]:
    """Return what tags find where nothing has a straight border: in scenes, and in photos of one kind each."""
    tags = [find_tags(predictor, scene.image, reader) for scene in scenes]
    in_photos = [named(find_tags(predictor, photo.open(), reader)) for photo in photos]
    return {
        "scenes_tags_f1": micro_f1([scene.labels for scene in scenes], map(named, tags)),
        "scenes_pointing_accuracy": pointing(scenes, tags),
        "photos_tags_f1": micro_f1([{photo.label or ""} for photo in photos], in_photos),
    }


def surer(tags: Sequence[Tag], bar: float) -> list[Tag]:
    return [tag for tag in tags if tag.sureness > bar]


def named(tags: Sequence[Tag]) -> set[str]:
    return {tag.label for tag in tags}


def above(predictor: Predictor, probabilities: np.ndarray, threshold: float) -> list[set[str]]:
    return [
        {label for label, value in zip(predictor.label_names, row, strict=True) if value >= threshold}
        for row in probabilities
    ]


def micro_f1(truth: Iterable[set[str]], found: Iterable[set[str]]) -> float:
    right = wrong = missed = 0
    for wanted, named in zip(truth, found, strict=True):
        right, wrong, missed = right + len(wanted & named), wrong + len(named - wanted), missed + len(wanted - named)
    return 2 * right / max(1, 2 * right + wrong + missed)


def pointing(mixtures: Sequence[Mixture], tags: Sequence[list[Tag]]) -> float:
    """Return how often the likeliest tag of a kind that is there has its centre in a picture of that kind."""
    hits = []
    for mixture, found in zip(mixtures, tags, strict=True):
        for label in mixture.labels & {tag.label for tag in found}:
            best = next(tag for tag in found if tag.label == label)
            hits.append(any(shown == label and is_inside(best.box, box) for shown, box in mixture.things))
    return statistics.mean(hits) if hits else 0.0


def is_inside(box: Box, place: Box) -> bool:
    across, down = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return place[0] <= across <= place[2] and place[1] <= down <= place[3]


def costs(predictor: Predictor, mixtures: Sequence[Mixture], ours: Find, brute: Find) -> dict[str, float]:
    """Return ratios of seconds from a file's bytes: of a plain answer, of one with tags, and by brute force, in turns.

    Tags include the plain answer that stands beside them; so do the windows of brute force.
    """
    side, spent = predictor.preprocess.size, {"plain": list[float](), "tags": list[float](), "brute": list[float]()}
    for mixture in mixtures[:: max(1, len(mixtures) // 20)]:
        buffer = io.BytesIO()
        mixture.image.save(buffer, "JPEG", quality=90)
        data = buffer.getvalue()
        for name, find in (("plain", None), ("tags", ours), ("brute", brute)):
            began = time.perf_counter()
            predictor.predict([decode(data, target_side=side)])
            if find is not None:
                find(decode(data, target_side=2 * side))
            spent[name].append(time.perf_counter() - began)
    plain, tags, forced = (statistics.median(spent[name]) for name in ("plain", "tags", "brute"))
    return {
        "tags_cost_ratio": tags / plain,
        "tags_vs_brute_force_speedup": forced / tags,
        "plain_ms": 1000 * plain,
        "tags_ms": 1000 * tags,
    }
