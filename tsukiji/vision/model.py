"""The network: a torchvision ResNet body and fastai's head, built without fastai. Knows neither pixels nor labels.

Body tensors carry torchvision's own names (`conv1`, `bn1`, `layer1`..`layer4`), so that pretrained weights load as they
are; the head's stand under `head.`, numbered as fastai numbers them.
"""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet34, resnet50

from tsukiji.errors import Invalid

BACKBONES: Final = {"resnet18": resnet18, "resnet34": resnet34, "resnet50": resnet50}
BODY: Final = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
HIDDEN: Final = 512


class ConcatPool(nn.Module):
    """(N, C, H, W) to (N, 2C): the largest, then the mean, of each channel; fastai's `AdaptiveConcatPool2d`."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([maps.amax((2, 3), keepdim=True), maps.mean((2, 3), keepdim=True)], 1)


class Classifier(nn.Module):
    """`forward` is `classify(features(x))`; the two halves are public, so that features can be kept."""

    def __init__(self, body: nn.Module, classes: int) -> None:
        super().__init__()
        for name in BODY:
            self.add_module(name, body.get_submodule(name))
        fc = body.get_submodule("fc")
        assert isinstance(fc, nn.Linear)
        self.num_features = fc.in_features
        self.head = _head(2 * self.num_features, classes)

    def features(self, images: Tensor) -> Tensor:
        """Return maps (N, num_features, H/32, W/32) of normalised images (N, 3, H, W)."""
        for name in BODY:
            images = self.get_submodule(name)(images)
        return images

    def classify(self, maps: Tensor) -> Tensor:
        """Return logits (N, classes) of feature maps."""
        logits: Tensor = self.head(maps)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.features(images))


def build(backbone: str, classes: int) -> Classifier:
    """Return the network with random weights.

    Raises:
        Invalid: there is no such backbone.
    """
    if backbone not in BACKBONES:
        raise Invalid(f"There is no backbone {backbone!r}.", hint=f"Use one of {', '.join(BACKBONES)}.")
    return Classifier(BACKBONES[backbone](weights=None), classes)


def load_fastai_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict of a fastai `vision_learner` model under our names, in the same order, tensors shared."""
    return {_our_name(name): tensor for name, tensor in state.items()}


def _our_name(name: str) -> str:
    half, number, rest = name.split(".", 2)
    return f"{BODY[int(number)]}.{rest}" if half == "0" else f"head.{number}.{rest}"


def _head(features: int, classes: int) -> nn.Sequential:
    """Return what fastai's `create_head(features / 2, classes)` does by default, initial weights included."""
    head = nn.Sequential(
        ConcatPool(),
        nn.Flatten(),
        nn.BatchNorm1d(features),
        nn.Dropout(0.25),
        nn.Linear(features, HIDDEN, bias=False),
        nn.ReLU(inplace=True),
        nn.BatchNorm1d(HIDDEN),
        nn.Dropout(0.5),
        nn.Linear(HIDDEN, classes, bias=False),
    )
    for layer in head:
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.constant_(layer.bias, 1e-3)
        elif isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return head
