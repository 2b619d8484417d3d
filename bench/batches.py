"""Batch throughput: the whole service, from submitting files to the last result read, beside fastai's `get_preds`.

Both classify the same files with resnet34 at the same size in the same run, in turns; medians of several runs.
`service_images_per_second`, `fastai_images_per_second` and their ratio `service_vs_fastai` (above 1: we are faster).
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastai.vision.all import ImageDataLoaders, Learner, Resize, resnet34, vision_learner

from bench.report import make_photos, parse, pictures, show, weights_folder
from tsukiji import Client
from tsukiji.cli.embedded import service
from tsukiji.vision.weights import load_backbone_weights

BATCH_SIZE = 64


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--images", type=int, default=500, help="pictures to classify")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if options.quick:
        options.images, options.runs = min(options.images, 96), 1
    with tempfile.TemporaryDirectory() as scratch:
        weights = weights_folder(options.weights, Path(scratch) / "weights")
        files = pictures(options.data, options.images, Path(scratch) / "photos")
        figures = measure(files, Path(scratch), options.image_size, options.runs, weights)
    show("batch throughput, images per second", figures, as_json=options.json)


def measure(files: list[Path], scratch: Path, size: int, runs: int, weights: Path | None) -> dict[str, Any]:
    learner = make_learner(files, size, weights)
    folder = scratch / "service"
    folder.mkdir()
    with service(folder) as client:
        model = make_model(client, scratch / "lesson", size, pretrained=weights is not None)
        classify_all(client, model, files[:BATCH_SIZE])  # both start warm
        predict_all(learner, files[:BATCH_SIZE])
        turns = [
            (seconds(lambda: classify_all(client, model, files)), seconds(lambda: predict_all(learner, files)))
            for _ in range(runs)
        ]
    ours = [len(files) / mine for mine, _ in turns]
    theirs = [len(files) / peer for _, peer in turns]
    return {
        "service_images_per_second": statistics.median(ours),
        "fastai_images_per_second": statistics.median(theirs),
        "service_vs_fastai": statistics.median(mine / peer for mine, peer in zip(ours, theirs, strict=True)),
        "images": len(files),
        "image_size": size,
        "runs": runs,
        "cpu_count": os.cpu_count(),
        "device": str(learner.dls.device),
    }


def make_learner(files: list[Path], size: int, weights: Path | None) -> Learner:
    """Return plain fastai as its documentation has it; the head is untrained, which costs the same time."""
    labels = [str(number % 2) for number in range(len(files))]  # what the classes are makes no difference to the speed
    loaders = ImageDataLoaders.from_lists(files[0].parent, files, labels, item_tfms=Resize(size), bs=BATCH_SIZE)
    learner = vision_learner(loaders, resnet34, pretrained=False)
    if weights:
        state, _ = load_backbone_weights("resnet34", folder=weights, download=False)
        names = iter(state.values())
        body = learner.model[0]
        body.load_state_dict({name: next(names) for name in body.state_dict()})
    return learner


def make_model(client: Client, folder: Path, size: int, *, pretrained: bool) -> str:
    """Train a resnet34 just long enough to have one in the service."""
    make_photos(folder, 20)
    dataset = client.datasets.create("lesson")
    dataset.upload(folder)
    recipe = {"epochs": 1, "image_size": size, "batch_size": 8, "pretrained": pretrained}
    model = client.trainings.create(dataset, recipe).wait().model
    if model is None:
        raise RuntimeError("the training made no model")
    return model.id


def classify_all(client: Client, model: str, files: list[Path]) -> None:
    batch = client.batches.create(model=model, images=files).wait()
    done = sum(result.status == "succeeded" for result in batch.results())
    if done != len(files):
        raise RuntimeError(f"{done} of {len(files)} pictures were classified")


def predict_all(learner: Learner, files: list[Path]) -> None:
    with learner.no_bar(), learner.no_logging():
        learner.get_preds(dl=learner.dls.test_dl(files))


def seconds(act: Callable[[], None]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
