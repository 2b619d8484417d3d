"""Small, complete model packages for tests."""

from datetime import UTC, datetime

import torch
from safetensors.torch import save_file

from tsukiji.vision import package
from tsukiji.vision.model import build
from tsukiji.vision.package import Calibration, ModelConfig
from tsukiji.vision.preprocess import Preprocess

LABELS = ["cat", "dog", "寿司"]


def trained_looking(backbone="resnet18", seed=0, head="fastai_concat_v1"):
    """A network whose running statistics and weights are those of no fresh one."""
    torch.manual_seed(seed)
    model = build(backbone, len(LABELS), head)
    model.train()
    with torch.no_grad():
        model(torch.randn(8, 3, 64, 64))
    return model.eval()


def write_package(
    folder, model=None, temperature=1.0, size=64, thresholds=None, head="fastai_concat_v1", backbone="resnet18"
):
    """With `thresholds` it is one of several labels."""
    model = model or trained_looking(backbone, head=head)
    folder.mkdir(exist_ok=True)
    config = ModelConfig(
        architecture=backbone,
        num_classes=len(LABELS),
        num_features=model.num_features,
        kind="multi_label" if thresholds else "single_label",
        label_names=LABELS,
        head=head,
        pretrained=False,
    )
    save_file(model.state_dict(), folder / package.WEIGHTS)
    package.write_part(folder, package.CONFIG, config)
    package.write_part(folder, package.PREPROCESS, Preprocess(size))
    package.write_part(folder, package.CALIBRATION, Calibration(temperature=temperature, thresholds=thresholds))
    (folder / package.CARD).write_text("# A model\n")
    seal(folder)
    return folder


def seal(folder):
    return package.seal(folder, model_id="mdl_1", created=datetime(2026, 1, 2, tzinfo=UTC), versions={"torch": "2"})
