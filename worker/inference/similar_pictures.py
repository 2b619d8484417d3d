"""The most similar pictures of data sets, and their maps, by kept features of one body; answers on the predict RPC.

The features of a data set are read once, stay in memory until evicted, and are completed by what was added or looked
at since. Pictures that nothing is kept of are looked at where they are asked about, and never searched.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np

from db.curation import likeness
from training.engine_options import EngineOptions
from training.frozen import open_frozen
from training.random_projection import DIMENSIONS, compact
from tsukiji.errors import FeaturesMissing, TsukijiError
from tsukiji.ids import before
from tsukiji.kernel.predict_rpc import Frame, MapQuery, SimilarQuery
from tsukiji.types import Backbone
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.device import choose_device
from tsukiji.vision.engines import Engine
from tsukiji.vision.feature_cache import COMPACT, PLAIN, FeatureCache, Floats, content_of, find_space, weights_key
from tsukiji.vision.model import build_on
from tsukiji.vision.plane import principal_plane
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.shapes import architecture_of
from tsukiji.vision.similarity import VectorIndex
from tsukiji.vision.weights import load_backbone_weights
from worker.inference.batch_inference import look_at
from worker.services import Services

PAGE: Final = 20_000
"""Images whose rows are read at once."""
LATE_SECONDS: Final = 60
"""An image may be committed this long after its id was made."""
PATIENCE: Final = 10
"""Missing features are looked for again after this many times as long as that took."""


class SimilarPictures:
    """Called by many threads; data sets are read one at a time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._file = services.settings.cache_dir / "features.db"
        self._searched: OrderedDict[tuple[str, str], SearchedDataset] = OrderedDict()
        self._bodies: dict[tuple[str, int], Body] = {}
        self._reading = threading.Lock()

    def ask(self, what: str, query: Mapping[str, Any], files: Sequence[bytes]) -> Frame:
        """Return the answer to a `SimilarQuery` (`similar`) or a `MapQuery` (`map`), or an `error`.

        `similar`: `found` (ids of images and cosines, the most similar first), `searched`, `missing`, `known_score`.
        `map`: `images`, `missing`, `explained`; beside it lines of ids, and their positions in float32.
        """
        try:
            return self._map(MapQuery(**query)) if what == "map" else (self._search(SimilarQuery(**query), files), [])
        except TsukijiError as error:
            return {"error": error.to_dict()}, []

    def _map(self, query: MapQuery) -> Frame:
        there = self._searchable(self._kept(query), query.backbone, query.dataset)
        names, rows = there.index.sample(query.limit)
        if not names:
            raise FeaturesMissing(f"No features by {query.backbone} are kept of this data set's pictures.")
        positions, explained = principal_plane(rows)
        facts = {"images": len(there.index), "missing": len(there.missing), "explained": explained}
        return facts, ["\n".join(names).encode(), positions.astype("<f4").tobytes()]

    def _search(self, query: SimilarQuery, files: Sequence[bytes]) -> dict[str, Any]:
        kept = self._kept(query)
        sets = [self._searchable(kept, query.backbone, dataset_id) for dataset_id in query.datasets]
        if not any(len(each.index) for each in sets):
            raise FeaturesMissing(f"No features by {query.backbone} are kept of the pictures to compare with.")
        vector = self._vector(kept, query, files)
        found = [(cosine, name, each) for each in sets for name, cosine in self._best(each, vector, query)]
        found.sort(key=lambda row: (-row[0], row[1]))
        return {
            "found": [[name, cosine] for cosine, name, _ in found[: query.limit]],
            "searched": sum(len(each.index) for each in sets),
            "missing": sum(len(each.missing) for each in sets),
            "known_score": found[0][2].index.known_score(found[0][0]) if found else None,
        }

    def _kept(self, query: SimilarQuery | MapQuery) -> FeatureCache:
        key = weights_key(query.backbone, query.image_size, self._services.settings.weights_dir)
        space = key and find_space(self._file, key)
        if not space:
            raise FeaturesMissing(f"Nothing was looked at by {query.backbone} with {query.image_size} pixels yet.")
        return FeatureCache(self._file, space, self._services.settings.inference.features_mb * 2**20)

    # --- what is searched ---

    def _searchable(self, kept: FeatureCache, backbone: str, dataset_id: str) -> "SearchedDataset":
        """Return a data set's features as they are now, evicting others if they take too much memory."""
        with self._reading:
            there = self._searched.setdefault((kept.space, dataset_id), SearchedDataset(dataset_id))
            self._searched.move_to_end((kept.space, dataset_id))
            there.complete(self._services, kept, backbone)
            limit = self._services.settings.inference.similar_mb * 2**20
            while len(self._searched) > 1 and sum(each.index.bytes for each in self._searched.values()) > limit:
                self._searched.popitem(last=False)
            return there

    def _best(self, each: "SearchedDataset", vector: Floats, query: SimilarQuery) -> list[tuple[str, float]]:
        """Return the most similar images in use: excluded and deleted ones are in the index, but no answers."""
        count = query.limit + 1
        while True:
            found = each.index.search(vector, count)
            with self._services.database.reading() as session:
                there = likeness.in_use(session, [name for name, _ in found])
            good = [row for row in found if row[0] in there and row[0] != query.image]
            if len(good) >= query.limit or count >= len(each.index):
                return good[: query.limit]
            count *= 4

    # --- the picture ---

    def _vector(self, kept: FeatureCache, query: SimilarQuery, files: Sequence[bytes]) -> Floats:
        """Return the compact embedding (DIMENSIONS,) of the picture in question.

        Raises:
            ImageError, BlobMissing, BlobCorrupt: it cannot be read.
            WeightsUnavailable, WeightsInvalid, BackboneUnavailable
            FeaturesMissing: this machine's engine computes other features than those that are kept.
        """
        name = content_of(query.sha256, query.crop) if query.sha256 else None
        if name and (rows := read_compact(kept, query.backbone, [name])):
            return rows[name]
        data = files[0] if query.sha256 is None else self._services.store.read(query.sha256)
        body = self._body(query)
        if body.engine.space != kept.space:
            raise FeaturesMissing(f"The kept features by {query.backbone} are of another version or engine.")
        picture = look_at(data, self._services.decode_limits, body.preprocess, query.crop)
        embedding = body.engine.look(picture.pixels)[0]
        if name:
            kept.write({name: embedding[0]}, PLAIN, {name: (picture.width, picture.height)})
        row: Floats = compact(embedding, architecture_of(cast("Backbone", query.backbone)).num_middle)[0]
        return row

    def _body(self, query: SimilarQuery) -> "Body":
        with self._reading:
            name = (query.backbone, query.image_size)
            if name not in self._bodies:
                self._bodies = {name: open_body(self._services, *name)}
            return self._bodies[name]


@dataclass
class SearchedDataset:
    """The features of a data set's images.

    Attributes:
        index: compact embeddings, by the images' ids.
        missing: names of the pictures (by `content_of`) that nothing is kept of, by the images' ids.
    """

    dataset_id: str
    index: VectorIndex = field(default_factory=lambda: VectorIndex(DIMENSIONS))
    missing: dict[str, str] = field(default_factory=dict)
    _after: str = ""
    _recent: set[str] = field(default_factory=set)
    _stamp: int = 0
    _again_at: float = 0.0

    def complete(self, services: Services, kept: FeatureCache, backbone: str) -> None:
        """Add the images that came since, and features that were computed since."""
        after, recent = self._after, set[str]()
        while True:
            with services.database.reading() as session:
                rows = likeness.pictures_after(session, self.dataset_id, after, PAGE)
            fresh = {row.id: content_of(row.sha256, row.crop) for row in rows if row.id not in self._recent}
            self._add(kept, backbone, fresh)
            recent.update(row.id for row in rows)
            if len(rows) < PAGE:
                break
            after = rows[-1].id
        if recent:
            self._after = before(max(recent), LATE_SECONDS)
            self._recent = {image_id for image_id in recent if image_id > self._after}
        self._find_missing(kept, backbone)

    def _find_missing(self, kept: FeatureCache, backbone: str) -> None:
        stamp = kept.path.stat().st_mtime_ns
        began = time.monotonic()
        if not self.missing or stamp == self._stamp or began < self._again_at:
            return
        asked, self.missing = list(self.missing.items()), {}
        for start in range(0, len(asked), PAGE):
            self._add(kept, backbone, dict(asked[start : start + PAGE]))
        ended = time.monotonic()
        self._stamp, self._again_at = stamp, ended + PATIENCE * (ended - began)

    def _add(self, kept: FeatureCache, backbone: str, names: Mapping[str, str]) -> None:
        rows = read_compact(kept, backbone, list(dict.fromkeys(names.values())))
        good = [image_id for image_id, name in names.items() if name in rows]
        if good:
            self.index.add(good, np.stack([rows[names[image_id]] for image_id in good]))
        self.missing |= {image_id: name for image_id, name in names.items() if name not in rows}


def read_compact(kept: FeatureCache, backbone: str, names: Sequence[str]) -> dict[str, Floats]:
    """Return compact embeddings of those of these pictures that an analysis or a training looked at.

    Of a crop that was not looked at, those of the whole picture: analyses look at that.
    """
    found = kept.read(names, COMPACT, DIMENSIONS)
    facts = architecture_of(cast("Backbone", backbone))
    missing = [name for name in names if name not in found]
    plain = kept.read(missing, PLAIN, facts.num_middle + 2 * facts.num_features)
    if plain:
        found |= dict(zip(plain, compact(np.stack(list(plain.values())), facts.num_middle), strict=True))
    cropped = {name: name.partition(":")[0] for name in missing if ":" in name and name not in found}
    whole = kept.read(list(cropped.values()), COMPACT, DIMENSIONS)
    return found | {name: whole[sha256] for name, sha256 in cropped.items() if sha256 in whole}


# --- bodies ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Body:
    """A frozen backbone, and how pictures are prepared for it."""

    engine: Engine
    preprocess: Preprocess


def open_body(services: Services, backbone: str, image_size: int) -> Body:
    """Return the engine that analyses use on this machine.

    Raises:
        WeightsUnavailable, WeightsInvalid, BackboneUnavailable
    """
    settings = services.settings
    body, _ = load_backbone_weights(backbone, folder=settings.weights_dir, download=settings.weights.download)
    preprocess = preprocess_of(backbone, image_size)
    options = EngineOptions(
        device=settings.training.device,
        engine=settings.inference.engine,
        precision=settings.inference.precision,
        cache=settings.cache_dir,
        threads=settings.training.threads,
    )
    model = build_on(backbone, body, 1)
    engine, _, _ = open_frozen(model, backbone, preprocess, choose_device(settings.training.device), options)
    return Body(engine, preprocess)
