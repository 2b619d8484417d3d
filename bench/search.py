"""Similar pictures among a million, and a new model over a million pictures that were seen.

    python -m bench.search [--quick] [--json] [--rows 1000000]

Rows are made up: 2,000 kinds of pictures, with as much noise as needed for neighbours as alike as those of photos.
`search_p95_ms` is of 200 queries, one at a time, over compact embeddings; `recall_at_10` is against the cosines in
float64; `add_1000_seconds` is the slowest of ten. `head_1m_seconds` is the time in which an inference worker
classifies pictures whose features by `efficientnet_lite0` are kept, in chunks of 10,000 with their known scores, and
writes the parts of a batch with an output; no blob is read. It is scaled to a million rows where there are fewer
(`head_rows`: files of features have 5 kB a row).
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench.report import parse, show
from bench.throughput.timing import p95
from db.items import Item
from db.parts import tables
from db.parts.files import encoded
from db.predictions.decisions import Rule
from training.mahalanobis import fit
from training.random_projection import DIMENSIONS, unit
from tsukiji.kernel.settings import DataSettings, InferenceSettings, Settings
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.execution_plan import exact
from tsukiji.vision.feature_cache import PLAIN, FeatureCache
from tsukiji.vision.model import build
from tsukiji.vision.package import Calibration, ModelConfig
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.similarity import VectorIndex, top
from worker.inference.batch_inference import Reading, predict
from worker.inference.part_inference import GROUP_IMAGES

BACKBONE: Final = "efficientnet_lite0"
LABELS: Final = tuple(f"label {number}" for number in range(10))
KINDS: Final = 2000
NOISE: Final = 0.7
QUERIES: Final = 200
JUDGED: Final = 20
"""Queries whose answers are compared with float64, which takes seconds each."""
ADDED: Final = 1000
PART: Final = 20_000
CHUNK: Final = 10_000
MILLION: Final = 1_000_000

Floats = NDArray[np.float32]


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--rows", type=int, default=MILLION, help="rows to search")
    parser.add_argument("--head-rows", type=int, default=MILLION, help="rows to classify: 5 kB of disk each")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.head_rows = 20_000, 20_000
    show("search", measure(options), as_json=options.json)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    figures = searching(options.rows)
    with tempfile.TemporaryDirectory() as folder:
        seconds = classifying(options.head_rows, Path(folder))
    scaled = seconds * MILLION / options.head_rows
    return figures | {"head_1m_seconds": scaled, "head_rows": options.head_rows, "seeds": [0], "runs": 1}


# --- searching -------------------------------------------------------------------------------------------------------


def searching(count: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    centres = random.standard_normal((KINDS, DIMENSIONS), dtype=np.float32)
    index, kept = VectorIndex(DIMENSIONS), []
    for start in range(0, count, PART):
        rows = made_up(random, centres, min(PART, count - start))
        index.add([str(start + number) for number in range(len(rows))], rows)
        kept.append(rows)
    adding, searching, right = [], [], 0
    for _ in range(10):
        rows = made_up(random, centres, ADDED)
        began = time.perf_counter()
        index.add([str(len(index) + place) for place in range(ADDED)], rows)
        adding.append(time.perf_counter() - began)
        kept.append(rows)
    for number, query in enumerate(made_up(random, centres, QUERIES)):
        began = time.perf_counter()
        found = index.search(query, 10)
        searching.append(time.perf_counter() - began)
        if number < JUDGED:
            cosines = np.concatenate([rows.astype(np.float64) @ query.astype(np.float64) for rows in kept])
            right += len({name for name, _ in found} & {str(place) for place in top(cast("Floats", cosines), 10)})
    return {
        "search_p95_ms": 1000 * p95(searching),
        "recall_at_10": right / (10 * JUDGED),
        "add_1000_seconds": max(adding),
        "rows": len(index),
        "index_mb": index.bytes / 2**20,
    }


def made_up(random: np.random.Generator, centres: Floats, count: int) -> Floats:
    kinds = centres[random.integers(0, len(centres), count)]
    return unit(kinds + NOISE * random.standard_normal(kinds.shape, dtype=np.float32))


# --- a new model -----------------------------------------------------------------------------------------------------


def unread(sha256: str) -> bytes:
    raise RuntimeError(f"{sha256} is not kept")


def classifying(count: int, folder: Path) -> float:
    """Return the seconds in which the kept pictures are classified and written."""
    settings = Settings(data=DataSettings(dir=folder), inference=InferenceSettings(features_mb=2**20))
    predictor = model()
    kept = FeatureCache(settings.cache_dir / "features.db", predictor.space, 2**50)
    names = list(remember(kept, predictor.model.num_embedded, count))
    np.random.default_rng(1).shuffle(names)  # the order of a data set is not that of the hashes
    reading, rule, written = Reading(refuse, DecodeLimits(), kept), Rule(0.0, 0.01), 0
    began = time.perf_counter()
    for start in range(0, count, CHUNK):
        items = [Item(start + place, name, name) for place, name in enumerate(names[start : start + CHUNK])]
        groups = [items[begin : begin + GROUP_IMAGES] for begin in range(0, len(items), GROUP_IMAGES)]
        found = [
            tables.table_of(group, [None] * len(group), predict(predictor, group, reading).rows, rule)
            for group in groups
        ]
        part = pa.concat_tables(found)
        (folder / f"{start}.parquet").write_bytes(encoded(part, tables.GROUP_ROWS))
        written += part.num_rows - part["score"].null_count
    seconds = time.perf_counter() - began
    if written != count:
        raise RuntimeError(f"{written} of {count} pictures were classified")
    return seconds


def refuse(sha256: str) -> bytes:
    raise AssertionError(f"{sha256} is read, though its features are kept")


def model() -> Predictor:
    """Return a model on the backbone with statistics for known scores, untrained: that costs the same."""
    network = build(BACKBONE, len(LABELS), "linear_v1").eval()
    random = np.random.default_rng(0)
    width = network.num_middle + network.num_features
    learnt = random.random((1000, width), np.float32)
    known = fit(learnt, np.arange(1000) % len(LABELS), random.random((200, width), np.float32), network.num_middle)
    config = ModelConfig(
        architecture=BACKBONE,
        num_classes=len(LABELS),
        num_features=network.num_features,
        label_names=list(LABELS),
        head="linear_v1",
        pretrained=True,
    )
    return Predictor(network, config, preprocess_of(BACKBONE, 224), Calibration(), exact("cpu", 32), known)


def remember(kept: FeatureCache, width: int, count: int) -> Iterator[str]:
    """Keep features of pictures, and yield the names of these."""
    some = np.random.default_rng(0).random((PART, width), np.float32)
    for start in range(0, count, PART):
        names = sorted(sha256(str(number).encode()).hexdigest() for number in range(start, min(start + PART, count)))
        kept.write(dict(zip(names, some, strict=False)), PLAIN, dict.fromkeys(names, (500, 375)))
        yield from names


if __name__ == "__main__":
    main()
