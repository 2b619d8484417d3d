"""Batch inference: cached embeddings are looked up, other pictures are read, decoded and classified in streams."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from db.items import Item
from db.jobs.batches import blank_prediction
from tsukiji.errors import BlobCorrupt, BlobMissing, ImageError, OutputNotFinite
from tsukiji.kernel.metrics import meters
from tsukiji.types import Box
from tsukiji.vision.decoding.decode import DecodeLimits, decoded, measure
from tsukiji.vision.drift import Distribution, fourier_features
from tsukiji.vision.engines import Pixels
from tsukiji.vision.feature_cache import PLAIN, FeatureCache, Size, content_of
from tsukiji.vision.predictor import Answers, Predictor
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.streams import in_streams, parts_of
from worker.lease import Lease
from worker.services import Services

NICENESS: Final = 5
"""Lower priority than API and synchronous predictions, higher than trainings (`training.program`)."""

Row = dict[str, Any]
Read = Callable[[str], bytes]
"""Returns the bytes with this hash; raises BlobMissing or BlobCorrupt."""


@dataclass(frozen=True)
class Picture:
    """A preprocessed picture, uint8 (1, size, size, 3), and the size of the uploaded one."""

    pixels: Pixels
    width: int
    height: int


@dataclass(frozen=True)
class Seen:
    """A picture's embedding (E,), and its size."""

    embedding: npt.NDArray[np.float32]
    size: Size


Found = dict[str, Seen | Row]
"""By `content_of` the picture; for an unreadable picture the row with its error."""


@dataclass(frozen=True)
class Embedded:
    """The embeddings (N, E) of all readable pictures, and the place of each by its name."""

    places: dict[str, int]
    embeddings: npt.NDArray[np.float32]

    @classmethod
    def of(cls, predictor: Predictor, found: "Found") -> Self:
        good = {name: seen.embedding for name, seen in found.items() if isinstance(seen, Seen)}
        nothing = np.empty((0, predictor.model.num_embedded), np.float32)
        places = {name: place for place, name in enumerate(good)}
        return cls(places, np.stack(list(good.values())) if good else nothing)


@dataclass(frozen=True)
class Classified:
    """One row per item, in order, and what the readable pictures are like."""

    rows: list[Row]
    distribution: Distribution


@dataclass(frozen=True)
class Reading:
    """How pictures become embeddings.

    Attributes:
        read: returns a picture's bytes by their hash.
        limits: of decoding.
        kept: embeddings from before; None: each is computed.
        check: called between pictures; may raise.
    """

    read: Read
    limits: DecodeLimits
    kept: FeatureCache | None = None
    check: Callable[[], None] = lambda: None

    @classmethod
    def of(cls, services: Services, predictor: Predictor, lease: Lease, read: Read | None = None) -> Self:
        """Return the reading of a worker: from the store, unless by `read`; `lease` may stop it."""
        kept = feature_cache_of(services, predictor)
        return cls(read or services.store.read, services.decode_limits, kept, lease.check)


def predict(predictor: Predictor, items: Sequence[Item], reading: Reading, threshold: float = 0.0) -> Classified:
    """Classify items. Repeated pictures are computed once.

    A threshold above 0 replaces those of a multi-label model.

    Raises:
        Stopped: the lease requires it.
        GpuOutOfMemory: not even one picture fits.
    """
    names = [name_of(item) for item in items]
    wanted = {name: item for name, item in zip(names, items, strict=True) if item.sha256}
    found = recall(reading, predictor, wanted)
    fresh: Found = {}
    missing = [item for name, item in wanted.items() if name not in found]
    for part in in_streams(
        predictor.plan,
        parts_of(missing, predictor.batch_size, predictor.plan.streams),
        lambda part: look(reading, predictor, part),
        NICENESS,
    ):
        fresh |= part
    keep(reading.kept, fresh)
    found |= fresh
    embedded = Embedded.of(predictor, found)
    rows = rows_of(predictor, items, names, found, embedded, threshold)
    return Classified(rows, distribution_of(predictor, names, embedded, rows))


def name_of(item: Item) -> str:
    return content_of(item.sha256 or "", item.crop)


def look(reading: Reading, predictor: Predictor, items: Sequence[Item]) -> Found:
    """Read, decode and embed pictures in one forward pass."""
    found: Found = {}
    pixels: list[Pixels] = []
    sizes: dict[str, Size] = {}
    reading.check()
    for item in items:
        try:
            data = reading.read(item.sha256 or "")
            picture = look_at(data, reading.limits, predictor.preprocess, item.crop)
        except (ImageError, BlobMissing, BlobCorrupt) as error:
            found[name_of(item)] = error.to_dict()
            continue
        pixels.append(picture.pixels)
        sizes[name_of(item)] = picture.width, picture.height
    if pixels:
        reading.check()
        with meters().forward_seconds.time():
            embeddings = predictor.embed_pixels(np.concatenate(pixels))
        meters().forward_images.inc(len(embeddings))
        seen = zip(sizes.items(), embeddings, strict=True)
        found |= {name: Seen(embedding, size) for (name, size), embedding in seen}
    return found


def look_at(data: bytes, limits: DecodeLimits, preprocess: Preprocess, crop: Box | None = None) -> Picture:
    """Return the picture in a file, or its crop, preprocessed: a small form, because many are held at once.

    Raises:
        ImageError: it cannot be decoded.
    """
    with meters().decode_seconds.time():
        width, height = measure(data, limits)
        with decoded(data, limits, crop=crop, target_side=preprocess.size) as picture:
            return Picture(preprocess.to_pixels([picture]), width, height)


# --- cached embeddings -----------------------------------------------------------------------------------------------


def feature_cache_of(services: Services, predictor: Predictor) -> FeatureCache | None:
    """Return this network's feature cache, which trainings share."""
    settings = services.settings
    if not settings.inference.features_mb:
        return None
    return FeatureCache(settings.cache_dir / "features.db", predictor.space, settings.inference.features_mb * 2**20)


def recall(reading: Reading, predictor: Predictor, wanted: Mapping[str, Item]) -> Found:
    """Return cached embeddings. Trainings store no picture sizes, so these are read from the files' headers."""
    if reading.kept is None:
        return {}
    rows = reading.kept.read_sized(list(wanted), PLAIN, predictor.model.num_embedded)
    meters().feature_cache.labels("hit").inc(len(rows))
    meters().feature_cache.labels("miss").inc(len(wanted) - len(rows))
    sized = ((name, row, size or size_of(reading, wanted[name])) for name, (row, size) in rows.items())
    return {name: Seen(row, size) for name, row, size in sized if size}


def size_of(reading: Reading, item: Item) -> Size | None:
    """Return a picture's size; None if unreadable, which inference then reports."""
    try:
        return measure(reading.read(item.sha256 or ""), reading.limits)
    except (ImageError, BlobMissing, BlobCorrupt):
        return None


def keep(kept: FeatureCache | None, found: Mapping[str, Seen | Row]) -> None:
    good = {name: seen for name, seen in found.items() if isinstance(seen, Seen) and np.isfinite(seen.embedding).all()}
    if kept and good:
        sizes = {name: seen.size for name, seen in good.items()}
        kept.write({name: seen.embedding for name, seen in good.items()}, PLAIN, sizes)


# --- rows ------------------------------------------------------------------------------------------------------------


def rows_of(
    predictor: Predictor,
    items: Sequence[Item],
    names: Sequence[str],
    found: Found,
    embedded: Embedded,
    threshold: float = 0.0,
) -> list[Row]:
    """Return the rows of items, whose `name_of` are `names`: the head classifies all pictures at once."""
    answered = results_of(predictor, predictor.conclude(embedded.embeddings), threshold) if embedded.places else []
    rows = []
    for item, name in zip(items, names, strict=True):
        row = blank_prediction(item.seq)
        seen = found.get(name) or item.error
        if isinstance(seen, Seen):
            row["width"], row["height"] = seen.size
            row |= answered[embedded.places[name]]
        else:
            row["error"] = seen
        rows.append(row)
    return rows


def distribution_of(
    predictor: Predictor, names: Sequence[str], embedded: Embedded, rows: Sequence[Row]
) -> Distribution:
    """Count the pictures that have a result, repeated ones as often as they occur."""
    good = [(name, row) for name, row in zip(names, rows, strict=True) if row["error"] is None]
    numbers = {label: at for at, label in enumerate(predictor.label_names)}
    with np.errstate(invalid="ignore"):  # those that are not numbers have no result, and do not count
        features = fourier_features(embedded.embeddings, predictor.model.num_middle)
    known = [row["known_score"] for _, row in good]
    return Distribution.of(
        np.array([numbers[row["label"]] for _, row in good], np.int64),
        np.array([row["score"] for _, row in good]),
        None if None in known else np.array(known),
        features[[embedded.places[name] for name, _ in good]],
        len(numbers),
        predictor.held_out,
    )


def results_of(predictor: Predictor, answers: Answers, threshold: float = 0.0) -> list[Row]:
    """Return the result for each picture, or an error where it contains NaN."""
    shares, known, several = answers.probabilities, answers.known_scores, predictor.kind == "multi_label"
    known_scores = [None] * len(shares) if known is None else known.tolist()
    finite = np.asarray(np.isfinite(shares).all(axis=1))
    if known is not None:
        finite = finite & np.isfinite(known)
    best, data, width = shares.argmax(axis=1), shares.astype("<f4").tobytes(), 4 * shares.shape[1]
    scores = np.take_along_axis(shares, best[:, None], axis=1)[:, 0].tolist()
    return [
        {
            "label": predictor.label_names[label],
            "score": scores[place],
            "labels": predictor.decide_set(shares[place], threshold) if several else None,
            "known_score": known_scores[place],
            "probabilities": data[place * width : (place + 1) * width],
        }
        if good
        else {"error": OutputNotFinite("The model's probabilities for this picture are not numbers.").to_dict()}
        for place, (label, good) in enumerate(zip(best.tolist(), finite.tolist(), strict=True))
    ]
