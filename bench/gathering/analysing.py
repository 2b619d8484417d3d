"""Analysis of many images with known features, and again after adding some."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from training.random_projection import DIMENSIONS, unit
from tsukiji.client import Dataset
from tsukiji.client._sync._analyses import AnalysisJob
from tsukiji.vision.feature_cache import COMPACT, REGION, FeatureCache, weights_key

BACKBONE: Final = "resnet34"
IMAGE_SIZE: Final = 96
MOST_BYTES: Final = 2**31


def measure(dataset: Dataset, more: Path, data: Path, weights: Path) -> dict[str, Any]:
    """Return how long the jobs ran.

    Args:
        dataset: its images have never been analysed.
        more: an archive of images to add.
        data: the data folder of the service.
        weights: the folder of its weights.
    """
    random = np.random.default_rng(0)
    know(dataset, data, weights, random)
    first = run(dataset)
    dataset.import_archive(more).wait()
    know(dataset, data, weights, random)
    again = run(dataset)
    return {
        "analysis_seconds": seconds(first),
        "analysis_incremental_seconds": seconds(again),
        "analysed": (again.result or {}).get("images", 0),
        "findings": sum((again.result or {}).get("findings", {}).values()),
    }


def know(dataset: Dataset, data: Path, weights: Path, random: np.random.Generator) -> None:
    """Write generated features into the cache: similar within a label, like real ones."""
    key = weights_key(BACKBONE, IMAGE_SIZE, weights)
    if key is None:
        raise RuntimeError(f"{weights} has no weights of {BACKBONE}")
    kept = FeatureCache(data / "cache" / "features.db", "made-up", MOST_BYTES)
    pictures = list(dataset.pictures())
    known = kept.read([picture.sha256 for picture in pictures], COMPACT, DIMENSIONS)
    fresh = [picture for picture in pictures if picture.sha256 not in known]
    centres = np.random.default_rng(1).normal(0, 1, (2, DIMENSIONS))
    of_label = centres[np.array([picture.label == "cat" for picture in fresh], np.intp)]
    rows = unit((of_label + random.normal(0, 1, of_label.shape)).astype(np.float32))
    box = np.array([0.1, 0.1, 0.9, 0.9], np.float32)
    names = [picture.sha256 for picture in fresh]
    kept.write(dict(zip(names, rows, strict=True)), COMPACT)
    kept.write(dict.fromkeys(names, box), REGION)
    kept.name_space(key)


def run(dataset: Dataset) -> AnalysisJob:
    job = dataset.analyse(backbone="resnet34", image_size=IMAGE_SIZE).wait()
    if missing := (job.result or {}).get("unavailable"):
        raise RuntimeError(f"not all was looked for: {missing}")
    return job


def seconds(job: AnalysisJob) -> float:
    """Return the running time, without waiting for a worker."""
    if job.started_at is None or job.finished_at is None:
        raise RuntimeError(f"{job.id} has not run")
    return (job.finished_at - job.started_at).total_seconds()
