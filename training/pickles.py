"""From a model package to fastai's `export.pkl`. We write such files and never read any.

The pickle refers only to classes and functions of fastai, torchvision and Python, and holds neither code nor paths of
this machine, so it opens wherever fastai is installed: on other operating systems, and with other Python versions.
"""

import pickle
from importlib.metadata import version
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import torch
from fastai.data.core import DataLoaders, Datasets
from fastai.data.external import URLs
from fastai.data.transforms import (
    Categorize,
    CategoryMap,
    IntToFloatTensor,
    MultiCategorize,
    Normalize,
    OneHotEncode,
    ToTensor,
    parent_label,
)
from fastai.learner import Learner
from fastai.vision.augment import Resize, ResizeMethod
from fastai.vision.core import PILImage
from PIL import Image
from torch import nn

from training.learner import build_learner
from tsukiji.errors import ExportFailed
from tsukiji.types import Recipe
from tsukiji.vision import package
from tsukiji.vision.model import POOLING, to_fastai_state
from tsukiji.vision.onnx import TOLERANCE, compare
from tsukiji.vision.package import ModelConfig
from tsukiji.vision.predictor import HALF, Predictor, load_model, shares_of
from tsukiji.vision.preprocess import RESAMPLING, Preprocess

METHODS: Final = {"crop": ResizeMethod.Crop, "squish": ResizeMethod.Squish, "pad": ResizeMethod.Pad}
LIBRARIES: Final = ("fastai", "fastcore", "torch", "torchvision")


class PortablePickler(pickle.Pickler):
    """Writes any path as fastai's working folder when the file is opened: ours mean nothing elsewhere.

    A `PosixPath` cannot even be created on Windows. fastai's `URLs.LOCAL_PATH` is a path of the running system.
    """

    def reducer_override(self, value: Any) -> Any:
        return (getattr, (URLs, "LOCAL_PATH", ".")) if isinstance(value, PurePath) else NotImplemented


# Replaces the module `pickle`. fastai's default, cloudpickle, writes the byte code of some functions, which other
# Python versions cannot run, with the names of their source files.
PORTABLE: Final = SimpleNamespace(**vars(pickle) | {"Pickler": PortablePickler})


def export_learner(folder: Path, target: Path, images: list[Image.Image]) -> dict[str, Any]:
    """Write the package as a fastai learner to `target`: `load_learner(target).predict(path)` answers with its labels.

    Args:
        folder: a model package.
        target: the file to write.
        images: RGB pictures, at least one, to compare the learner's network with ours on.

    Returns:
        Facts: the comparison (see `tsukiji.vision.onnx.compare`) and versions.

    Raises:
        ExportFailed: the learner's network gives other results.
        PackageInvalid: the package is damaged.
    """
    expected = Predictor.load(folder, "cpu").predict(images)  # verifies the package
    config, preprocess = package.read_config(folder), package.read_preprocess(folder)
    with TemporaryDirectory() as scratch:
        learner = _build(config, _load_data(config, preprocess, Path(scratch)))
    learner.model.load_state_dict(to_fastai_state(load_model(folder, config).state_dict()))
    calibration = package.read_calibration(folder)
    _fold_in(learner.model, calibration.temperature)
    if config.kind == "multi_label":
        learner.loss_func.thresh = torch.tensor(calibration.thresholds or [HALF] * config.num_classes)
    facts = compare(expected, shares_of(_logits(learner.model, preprocess, images), config.kind))
    if not facts["max_difference"] <= TOLERANCE:  # also catches NaN
        raise ExportFailed(f"fastai's network differs by up to {facts['max_difference']:.3g} in its probabilities.")
    learner.export(target.absolute(), pickle_module=PORTABLE)
    return facts | {"versions": {name: version(name) for name in LIBRARIES}}


def _load_data(config: ModelConfig, preprocess: Preprocess, scratch: Path) -> DataLoaders:
    """Return loaders that open a file as we do, as far as fastai can. fastai needs one picture to build them."""
    picture = scratch / "0" / "blank.png"  # not named after labels, which may contain slashes
    picture.parent.mkdir()
    Image.new("RGB", (preprocess.size, preprocess.size)).save(picture)
    numbers = [str(number) for number in range(config.num_classes)]
    several = config.kind == "multi_label"
    naming = MultiCategorize(vocab=numbers) if several else Categorize(vocab=numbers, sort=False)
    # `sorted` turns the folder "0" into the list of labels that fastai wants, and can be pickled.
    targets = [parent_label, sorted, naming, OneHotEncode] if several else [parent_label, naming]
    sampling = RESAMPLING[preprocess.interpolation], Image.Resampling.NEAREST
    fit = Resize(preprocess.size, method=METHODS[preprocess.resize], resamples=sampling)
    normalise = Normalize.from_stats(preprocess.mean, preprocess.std, cuda=False)
    data = Datasets([picture], [[PILImage.create], targets], splits=([0], [0]))
    loaders = data.dataloaders(
        bs=1,
        after_item=[fit, ToTensor],
        after_batch=[IntToFloatTensor, normalise],
        num_workers=0,
        device="cpu",
    )
    naming.vocab = CategoryMap(config.label_names, sort=False)
    return loaders


def _build(config: ModelConfig, loaders: DataLoaders) -> Learner:
    learner = build_learner(Recipe(backbone=config.architecture, pretrained=False), loaders, None, config.kind)
    if config.head == "linear_v1":
        learner.model[1] = nn.Sequential(*learner.model[1][:POOLING], nn.Linear(2 * config.num_features, learner.dls.c))
    learner.metrics = []  # one is ours, and the pickle must not refer to it
    learner.model.eval()
    return learner


def _fold_in(model: nn.Module, temperature: float) -> None:
    """Divide the last layer by the temperature, which fastai does not support."""
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        for values in last.parameters():
            values.div_(temperature)


@torch.inference_mode()
def _logits(model: nn.Module, preprocess: Preprocess, images: list[Image.Image]) -> Any:
    rows = [model(torch.from_numpy(preprocess.to_array([image]))).numpy() for image in images]
    return np.concatenate(rows)
