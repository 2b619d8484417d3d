"""Fairness: latency of a prediction and a poll while a training runs, relative to an idle service.

One machine, one embedded service, resnet34 at 224 px in training and prediction. `predict_ratio` and `poll_ratio`:
median while training over median when idle. `training_seconds`: what they would wait in a shared queue.
"""

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.report import make_photos, parse, show, weights_folder
from tsukiji import Client, Training
from tsukiji.cli.embedded import service


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="predictions and looks, each while idle and in training")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        weights = weights_folder(options.weights, Path(scratch) / "weights")
        figures = measure(Path(scratch), 8 if options.quick else options.rounds, pretrained=weights is not None)
    show("prediction while training", figures, as_json=options.json)


def measure(scratch: Path, rounds: int, *, pretrained: bool) -> dict[str, Any]:
    folder = scratch / "service"
    folder.mkdir()
    files = make_photos(scratch / "photos", 64)
    with service(folder) as client:
        dataset = client.datasets.create("photos")
        dataset.upload(scratch / "photos")
        recipe = {"epochs": 1, "batch_size": 16, "pretrained": pretrained}
        first = client.trainings.create(dataset, recipe).wait()
        model = first.result["model_id"] if first.result else ""
        client.predict(files[0], model)  # loads the model
        idle = look(client, model, first, files, rounds)
        training = client.trainings.create(dataset, recipe | {"epochs": 500})
        while training.refresh().phase != "training":
            time.sleep(0.2)
        busy = look(client, model, training, files, rounds)
        if training.refresh().done:
            raise RuntimeError("the training ended before all was measured")
        training.cancel()
    return {
        "predict_ratio": busy[0] / idle[0],
        "poll_ratio": busy[1] / idle[1],
        "predict_ms_idle": 1000 * idle[0],
        "predict_ms_training": 1000 * busy[0],
        "predict_ms_training_p95": 1000 * busy[2],
        "poll_ms_idle": 1000 * idle[1],
        "poll_ms_training": 1000 * busy[1],
        "training_seconds": (first.result or {}).get("seconds"),
        "rounds": rounds,
        "cpu_count": os.cpu_count(),
    }


def look(client: Client, model: str, job: Training, files: list[Path], rounds: int) -> tuple[float, float, float]:
    """Return the median seconds of a prediction and of a poll, and the 95th percentile of a prediction."""
    turns = itertools.islice(itertools.cycle(files), rounds)
    predictions = [seconds(partial(client.predict, file, model)) for file in turns]
    looks = [seconds(job.refresh) for _ in range(rounds)]
    p95 = statistics.quantiles(predictions, n=20, method="inclusive")[18]
    return statistics.median(predictions), statistics.median(looks), p95


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
