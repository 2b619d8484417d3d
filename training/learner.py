"""fastai's learner on our backbones."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import torch
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.progress import ProgressCallback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.metrics import AccumMetric, accuracy, accuracy_multi
from fastai.vision.learner import create_body, model_meta, vision_learner
from torch import nn
from torchvision import models

from training.multilabel_metrics import mean_average_precision
from tsukiji.types import Kind, Recipe
from tsukiji.vision.backbones import Backbone, backbone_of
from tsukiji.vision.model import BODY, build, load_timm, strip, timm_stages

BATCH_NORM_MOMENTUM: Final = 0.1
"""PyTorch's default. Some timm networks use TensorFlow's, a tenth of it: after a hundred batches their statistics
would still be mostly ImageNet's, and a model trained on other pictures would fail."""


def build_learner(
    recipe: Recipe, loaders: DataLoaders, body: Mapping[str, torch.Tensor] | None, kind: Kind = "single_label"
) -> Learner:
    """Return fastai's `vision_learner`; with `body` from `load_backbone_weights`, pretrained and frozen.

    Built without weights first, because fastai would download them.

    Raises:
        BackboneUnavailable: it needs a library that is not installed.
    """
    backbone = backbone_of(recipe.backbone)
    make = partial(vision_learner, loaders, pretrained=False, normalize=False, metrics=metrics_of(kind))
    if backbone.patch:
        learner = transformer_learner(recipe, loaders, kind)
    elif backbone.library == "timm":
        load_timm(backbone)  # fastai's own error does not say what is missing
        learner = make(backbone.network, splitter=split_timm)
    else:
        learner = make(getattr(models, backbone.network))
    learner.remove_cbs(ProgressCallback)
    for module in learner.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = BATCH_NORM_MOMENTUM
    if torch.device(loaders.device).type == "cuda":
        learner.add_cb(MixedPrecision())
    if backbone.library == "timm":
        strip(learner.model[0].model, backbone)
    if body is not None:
        load_body(learner, backbone, body)
        learner.freeze()
    return learner


def split_timm(model: nn.Sequential) -> list[list[nn.Parameter]]:
    """Return the parameters of the early stages, of the last two, and of the head, as fastai splits a ResNet's.

    fastai makes one group of a timm body, all of which would then learn at the rate of the first layers, the lowest.
    """
    body: Any = model[0].model
    last_early = body.feature_info[-3]["module"]
    named = list(body.named_parameters())
    early = 1 + max(number for number, (name, _) in enumerate(named) if name.startswith(f"{last_early}."))
    parameters = [parameter for _, parameter in named]
    return [parameters[:early], parameters[early:], list(model[1:].parameters())]


class TokenMaps(nn.Module):
    """timm's transformer as a fastai body: images (N, 3, H, W) to the maps of its tokens, (N, C, h, w).

    fastai takes the class token alone, which leaves no maps for explanations.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return timm_stages(self.model, images)[1]


def transformer_learner(recipe: Recipe, loaders: DataLoaders, kind: Kind) -> Learner:
    model = build(recipe.backbone, loaders.c)
    parts = nn.Sequential(TokenMaps(model.get_submodule(BODY)), model.head)
    return Learner(loaders, parts, splitter=split_timm, metrics=metrics_of(kind))


def metrics_of(kind: Kind) -> list[Any]:
    """Return fastai's metrics for each epoch, in the order of `EpochMetrics`."""
    if kind == "single_label":
        return [accuracy]
    return [accuracy_multi, AccumMetric(average_precision, flatten=False)]


def average_precision(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Return the mean average precision of outputs (N, C) on targets (N, C) of 0 and 1; NaN if undefined.

    It depends on ranks only, so no sigmoid is needed.
    """
    found = mean_average_precision(targets.cpu().numpy() > 0, outputs.float().cpu().numpy())
    return math.nan if found is None else found


def load_body(learner: Learner, backbone: Backbone, body: Mapping[str, torch.Tensor]) -> None:
    """Copy the library's tensors into the learner's body, whose names are fastai's."""
    if backbone.library == "timm":
        learner.model[0].model.load_state_dict(body)
        return
    architecture = getattr(models, backbone.network)
    resnet = architecture(weights=None)
    resnet.fc = nn.Identity()
    resnet.load_state_dict(body)
    learner.model[0].load_state_dict(create_body(resnet, cut=model_meta[architecture]["cut"]).state_dict())
