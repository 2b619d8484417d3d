"""Plain fastai as documented: `learn.get_preds` on files on disk."""

import time
from collections.abc import Sequence
from pathlib import Path

from fastai.vision.all import ImageDataLoaders, Learner, Resize, resnet34, vision_learner
from safetensors.torch import load_file

from bench.throughput.peers.answering import answer, package_folder
from tsukiji.vision import package
from tsukiji.vision.model import to_fastai_state


class Fastai:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._learner: Learner | None = None

    def classify(self, files: Sequence[Path]) -> dict[str, float]:
        learner = self._learner = self._learner or load_learner(self._folder, files)
        began = time.perf_counter()
        with learner.no_bar(), learner.no_logging():
            learner.get_preds(dl=learner.dls.test_dl(files))
        return {"seconds": time.perf_counter() - began}


def load_learner(folder: Path, files: Sequence[Path]) -> Learner:
    """Return a learner with the package's weights; fastai wants some files to make its loaders of."""
    names, size = package.read_config(folder).label_names, package.read_preprocess(folder).size
    labels = [names[number % len(names)] for number in range(len(files))]
    loaders = ImageDataLoaders.from_lists(files[0].parent, files, labels, item_tfms=Resize(size))
    learner = vision_learner(loaders, resnet34, pretrained=False, n_out=len(names))
    learner.model.load_state_dict(to_fastai_state(load_file(folder / package.WEIGHTS)))
    return learner


if __name__ == "__main__":
    answer(Fastai(package_folder()).classify)
