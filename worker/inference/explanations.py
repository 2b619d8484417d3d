"""Tags and heatmaps of classified pictures: each is decoded once more, at a higher resolution. Nothing is cached."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from db.items import Item
from tsukiji.errors import BlobCorrupt, BlobMissing, ImageError
from tsukiji.explain.heatmap import explain, seen_part
from tsukiji.explain.tags import find_tags
from tsukiji.types import Box
from tsukiji.types.batches import LIKELIEST
from tsukiji.vision.decoding.decode import decoded, measure
from tsukiji.vision.streams import in_streams, parts_of
from worker.inference.batch_inference import NICENESS, Found, Read, Row, name_of
from worker.inference.explanation_calibration import MORE_SIDE, ExplanationCalibration
from worker.services import Services

DIGITS = 4


@dataclass(frozen=True)
class ExplanationOptions:
    """Explanations requested for a batch; `heatmap` is a label, or `LIKELIEST`."""

    tags: bool
    heatmap: str | None

    def __bool__(self) -> bool:
        return self.tags or self.heatmap is not None


@dataclass(frozen=True)
class Part:
    """A decoded picture, or the crop in use, and its box in the whole picture."""

    pixels: Image.Image
    box: Box

    def whole(self, box: Sequence[int]) -> list[int]:
        """Return a box of these pixels in pixels of the whole picture."""
        left, upper, right, lower = self.box
        across, down = (right - left) / self.pixels.width, (lower - upper) / self.pixels.height
        edges = box[0] * across + left, box[1] * down + upper, box[2] * across + left, box[3] * down + upper
        return [round(edge) for edge in edges]


def explain_items(
    services: Services,
    calibration: ExplanationCalibration,
    options: ExplanationOptions,
    items: Sequence[Item],
    rows: Sequence[Row],
    check: Callable[[], None],
    read: Read | None = None,
) -> None:
    """Add the requested explanations to the items' rows; `check` is called in between, and may raise.

    Raises:
        GpuOutOfMemory: not even one picture fits.
    """
    if not options:
        return
    names = calibration.predictor.label_names
    labels = {
        name_of(item): names[int(np.frombuffer(row["probabilities"], "<f4").argmax())]
        for item, row in zip(items, rows, strict=True)
        if row["probabilities"]
    }
    if not labels:
        return
    check()
    if options.tags:
        calibration.reader  # noqa: B018 - fitted before the streams begin, once
    if options.heatmap:
        calibration.heatmaps  # noqa: B018 - the same

    def look(part: Sequence[Item]) -> Found:
        found: Found = {}
        for item in part:
            check()
            data = partial(read or services.store.read, item.sha256 or "")
            found[name_of(item)] = examine(services, calibration, options, item, labels[name_of(item)], data)
        return found

    wanted = {name_of(item): item for item in items if name_of(item) in labels}
    found: Found = {}
    predictor = calibration.predictor
    parts = parts_of(list(wanted.values()), predictor.batch_size, predictor.plan.streams)
    for part in in_streams(predictor.plan, parts, look, NICENESS):
        found |= part
    for item, row in zip(items, rows, strict=True):
        extra = found.get(name_of(item))
        if isinstance(extra, dict):
            row.update(extra)


def examine(
    services: Services,
    calibration: ExplanationCalibration,
    options: ExplanationOptions,
    item: Item,
    likeliest: str,
    data: Callable[[], bytes],
) -> Row:
    """Return the requested columns; none if the picture was deleted meanwhile."""
    found: Row = {}
    try:
        with decode_part(services, data(), item, MORE_SIDE * calibration.predictor.preprocess.size) as part:
            if options.tags:
                found["tags"] = tags(calibration, part)
            if options.heatmap is not None:
                label = likeliest if options.heatmap == LIKELIEST else options.heatmap
                found["heatmap"] = heatmap(calibration, part, label)
    except (ImageError, BlobMissing, BlobCorrupt):
        return {}
    return found


@contextmanager
def decode_part(services: Services, data: bytes, item: Item, side: int) -> Iterator[Part]:
    """Yield the picture, decoded for `side` pixels; its memory counts until the block ends.

    Raises:
        ImageError
    """
    box = item.crop or (0, 0, *measure(data, services.decode_limits))
    with decoded(data, services.decode_limits, crop=item.crop, target_side=side) as pixels:
        yield Part(pixels, box)


def tags(calibration: ExplanationCalibration, part: Part) -> list[Row]:
    return [
        {
            "label": tag.label,
            "score": round(tag.score, DIGITS),
            "known_score": None if tag.known_score is None else round(tag.known_score, DIGITS),
            "box": part.whole(tag.box),
        }
        for tag in find_tags(calibration.predictor, part.pixels, calibration.reader)
    ]


def heatmap(calibration: ExplanationCalibration, part: Part, label: str) -> Row:
    facts = calibration.heatmaps
    if facts["withheld"]:
        return {"label": label, "withheld": facts["withheld"]}
    grid = explain(calibration.predictor, part.pixels, calibration.predictor.label_names.index(label), facts["method"])
    if not np.isfinite(grid).all():
        return {"label": label, "withheld": "the heatmap of this picture contains values that are not numbers"}
    height, width = grid.shape
    return {
        "label": label,
        "method": facts["method"],
        "width": width,
        "height": height,
        "values": [[round(float(value), DIGITS) for value in row] for row in grid],
        "box": part.whole(seen_part(calibration.predictor, *part.pixels.size)),
    }
