"""Plain fastai as documented: `learn.get_preds` on files on disk.

With `TSUKIJI_BENCH_BFLOAT16=1` in the best form for processors with bfloat16: autocast, channels last.
"""

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from fastai.vision.all import ImageDataLoaders, Learner, Resize
from safetensors.torch import load_file

from bench.teaching.notebook import make_learner
from bench.throughput.peers.answering import answer, package_folder
from tsukiji.vision import package
from tsukiji.vision.backbones import backbone_of
from tsukiji.vision.model import to_fastai_state

BFLOAT16 = "TSUKIJI_BENCH_BFLOAT16"


class Fastai:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._learner: Learner | None = None
        self._lower = bool(os.environ.get(BFLOAT16))

    def classify(self, files: Sequence[Path]) -> dict[str, float]:
        learner = self._learner = self._learner or load_learner(self._folder, files)
        if self._lower:
            learner.model.to(memory_format=torch.channels_last)
        began = time.perf_counter()
        with learner.no_bar(), learner.no_logging(), self._precision():
            learner.get_preds(dl=learner.dls.test_dl(files))
        return {"seconds": time.perf_counter() - began}

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16) if self._lower else nullcontext()


def load_learner(folder: Path, files: Sequence[Path]) -> Learner:
    """Return a learner with the package's body and fastai's own head; fastai wants files to make its loaders of."""
    config, size = package.read_config(folder), package.read_preprocess(folder).size
    names = config.label_names
    labels = [names[number % len(names)] for number in range(len(files))]
    loaders = ImageDataLoaders.from_lists(files[0].parent, files, labels, item_tfms=Resize(size))
    learner = make_learner(loaders, backbone_of(config.architecture), None)
    state = to_fastai_state(load_file(folder / package.WEIGHTS))
    learner.model[0].load_state_dict({name[2:]: tensor for name, tensor in state.items() if name.startswith("0.")})
    return learner


if __name__ == "__main__":
    answer(Fastai(package_folder()).classify)
