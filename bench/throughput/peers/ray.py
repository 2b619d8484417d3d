"""Ray Data's documented batch inference: `read_images`, `map` to tensors, `map_batches` with a class of actors.

One actor with all threads of the machine. Each job starts its actor anew: `seconds` counts from the moment that the
model is loaded, which leaves Ray a head start in reading; `seconds_whole` from the beginning.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import ray
import torch
from PIL import Image
from ray.data import ActorPoolStrategy

from bench.throughput.peers.answering import answer, package_folder
from bench.throughput.peers.network import load_network, load_transform

BATCH: Final = 32
STORE_BYTES: Final = 2**30
Columns = dict[str, Any]


class Classifier:
    def __init__(self, folder: Path, threads: int) -> None:
        torch.set_num_threads(threads)  # Ray leaves one to each of its workers
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = load_network(folder).to(self._device)
        self._ready = time.time()

    @torch.inference_mode()
    def __call__(self, batch: Columns) -> Columns:
        found = self._model(torch.as_tensor(batch["image"], device=self._device)).argmax(1).cpu().numpy()
        return {"label": found, "ready": np.full(len(found), self._ready)}


def classify(folder: Path, files: Sequence[Path]) -> dict[str, float]:
    transform, threads = load_transform(folder), os.cpu_count() or 1

    def prepare(row: Columns) -> Columns:
        return {"image": transform(Image.fromarray(row["image"])).numpy()}

    began = time.time()
    images = ray.data.read_images([str(file) for file in files], mode="RGB")
    found = images.map(prepare).map_batches(
        Classifier,
        fn_constructor_args=(folder, threads),
        batch_size=BATCH,
        compute=ActorPoolStrategy(size=1),
        num_gpus=1 if torch.cuda.is_available() else None,
    )
    done, ready = 0, began
    for batch in found.iter_batches(batch_size=None):
        done += len(batch["label"])
        ready = max(ready, *batch["ready"])
    if done != len(files):
        raise RuntimeError(f"{done} of {len(files)} images were classified")
    ended = time.time()
    return {"seconds": ended - ready, "seconds_whole": ended - began}


def main() -> None:
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's way to say: on the loopback address alone
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        # Two at least: one for the actor, one for who reads.
        cores = max(2, os.cpu_count() or 1)
        ray.init(num_cpus=cores, include_dashboard=False, object_store_memory=STORE_BYTES, _temp_dir=folder)
        try:
            answer(lambda files: classify(package_folder(), files))
        finally:
            ray.shutdown()


if __name__ == "__main__":
    main()
