"""The network: torchvision's ResNet or a timm body, and fastai's head or a linear one. Knows no pixels.

Built without torchvision and fastai, EfficientNet-Lite without timm too. Body tensors have the library's names, so that
pretrained weights load unchanged: torchvision's as they are (`conv1`, `bn1`, `layer1`..`layer4`), timm's under `body.`.
The head's are under `head.`, numbered as in fastai.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

import torch
from torch import Tensor, nn

from tsukiji.errors import BackboneUnavailable
from tsukiji.vision.backbones import Backbone, backbone_of
from tsukiji.vision.efficientnet_lite import FEATURES, SCALES, EfficientNetLite
from tsukiji.vision.resnet import draw_weights, resnet_parts
from tsukiji.vision.shapes import HIDDEN, Head

RESNET: Final = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
BODY: Final = "body"
STRIDE: Final = 32
"""Pixels of the picture per pixel of a convolutional network's last maps, on each side."""
POOLING: Final = 2
"""Number of layers at the start of the head without parameters to train."""


class ConcatPool(nn.Module):
    """(N, C, H, W) to (N, 2C): maxima, then means, of each channel; fastai's `AdaptiveConcatPool2d`."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([maps.amax((2, 3), keepdim=True), maps.mean((2, 3), keepdim=True)], 1)


class Classifier(nn.Module):
    """`forward` is `classify(features(x))`, and equals `decide(embed(x))`, whose intermediate result can be cached.

    An embedding holds the means of the maps before the last stage (`num_middle`), then the pooled last maps
    (`2 * num_features`: maxima, and means).
    """

    def __init__(
        self,
        parts: Mapping[str, nn.Module],
        num_features: int,
        num_middle: int,
        classes: int,
        stride: int = STRIDE,
        head: Head = "fastai_concat_v1",
    ) -> None:
        """`parts` make up the body: each takes the output of the one before; `stride` is the last maps'."""
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self._parts = tuple(parts)
        self.stride = stride
        self.num_features = num_features
        self.num_middle = num_middle
        self.num_embedded = num_middle + 2 * num_features
        self.head = _head(2 * num_features, classes, head)

    def features(self, images: Tensor) -> Tensor:
        """Return maps (N, num_features, H/32, W/32) of normalised images (N, 3, H, W)."""
        return self._stages(images)[1]

    def classify(self, maps: Tensor) -> Tensor:
        """Return logits (N, classes) of feature maps."""
        logits: Tensor = self.head(maps)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.features(images))

    def embed(self, images: Tensor) -> Tensor:
        """Return embeddings (N, num_embedded), float32, of normalised images (N, 3, H, W) in the body's precision."""
        return self.look(images)[0]

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings (N, num_embedded), and the last maps, as `features` does; float32."""
        middle, maps = self.stages(images)
        return self.pool(middle, maps), maps

    def stages(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps before the last stage (N, num_middle, H/16, W/16) and the last ones; float32."""
        middle, maps = self._stages(images)
        return middle.float(), maps.float()  # a mean in half precision would lose precision of the maps

    def pool(self, middle: Tensor, maps: Tensor) -> Tensor:
        """Return embeddings (N, num_embedded) of maps from `stages`, or of parts of them."""
        return torch.cat([middle.mean((2, 3)), self.head[:POOLING](maps)], 1)

    def decide(self, embeddings: Tensor) -> Tensor:
        """Return logits (N, classes) of embeddings."""
        logits: Tensor = self.head[POOLING:](embeddings[:, self.num_middle :])
        return logits

    def _stages(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if self._parts == (BODY,):
            body = self.get_submodule(BODY)
            return body.stages(images) if isinstance(body, EfficientNetLite) else timm_stages(body, images)
        middle = images
        for name in self._parts[:-1]:
            middle = self.get_submodule(name)(middle)
        return middle, self.get_submodule(self._parts[-1])(middle)

    @property
    def dtype(self) -> torch.dtype:
        """The body's precision, required of its input."""
        return next(self.get_submodule(self._parts[0]).parameters()).dtype

    def lower(self, dtype: torch.dtype) -> None:
        """Let the body compute in another precision; the head stays in float32."""
        for name in self._parts:
            self.get_submodule(name).to(dtype)

    def body_state(self) -> dict[str, Tensor]:
        """Return the body's tensors under its library's names, as `weights.load_backbone_weights` gives them."""
        own = ((name, tensor) for name, tensor in self.state_dict().items() if not name.startswith("head."))
        return {name.removeprefix(f"{BODY}."): tensor for name, tensor in own}

    def load_body(self, state: Mapping[str, Tensor]) -> None:
        """Replace the body's tensors by those of a `body_state`; they are shared.

        Raises:
            RuntimeError: a tensor is missing, has another shape, or is not of this body.
        """
        prefix = f"{BODY}." if self._parts == (BODY,) else ""
        head = {f"head.{name}": tensor for name, tensor in self.head.state_dict().items()}
        self.load_state_dict({f"{prefix}{name}": tensor for name, tensor in state.items()} | head, assign=True)


def build(backbone: str, classes: int, head: Head = "fastai_concat_v1") -> Classifier:
    """Return the network with random weights.

    Raises:
        Invalid: the backbone is unknown.
        BackboneUnavailable: it needs a library that is not installed.
    """
    facts = backbone_of(backbone)
    if backbone in SCALES:
        lite = EfficientNetLite(backbone)
        return Classifier({BODY: lite}, FEATURES, lite.num_middle, classes, head=head)
    if facts.library == "timm":
        # Without pool and head, timm's `forward` equals its `forward_features`.
        model = create_timm(facts)
        middle = model.feature_info[-2]["num_chs"]
        return Classifier({BODY: model}, model.num_features, middle, classes, facts.patch or STRIDE, head)
    parts, features = resnet_parts(backbone)
    return Classifier(parts, features, features // 2, classes, head=head)


def build_on(backbone: str, body: Mapping[str, Tensor], classes: int, head: Head = "fastai_concat_v1") -> Classifier:
    """Return the network with this body (see `body_state`), whose tensors it shares, and a random head.

    Raises:
        Invalid, BackboneUnavailable: as `build`.
        RuntimeError: a tensor is missing, has another shape, or is not of this body.
    """
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        model = build(backbone, classes, head)
    model.head = _head(2 * model.num_features, classes, head)
    model.load_body(body)
    return model


def create_timm(backbone: Backbone) -> Any:
    """Return timm's network without pool and head, whose `forward` is its `forward_features`; with random weights.

    Raises:
        BackboneUnavailable: timm is not installed.
    """
    options = {"dynamic_img_size": True} if backbone.patch else {}
    timm = load_timm(backbone)
    model = timm.create_model(backbone.network, pretrained=False, num_classes=0, global_pool="", **options)
    return strip(model, backbone)


def timm_stages(model: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maps before the last stage of timm's network, and the last ones.

    For a transformer, the normalised patch tokens of its last two blocks, arranged as maps.
    """
    if hasattr(model, "num_prefix_tokens"):
        middle, maps = model.forward_intermediates(images, indices=2, norm=True, intermediates_only=True)
        return middle, maps
    maps, earlier = model.forward_intermediates(images, indices=2, stop_early=False)
    return earlier[0], maps


def load_timm(backbone: Backbone) -> ModuleType:
    """Import timm, which is optional and slow to import.

    Raises:
        BackboneUnavailable: it is not installed.
    """
    try:
        import timm  # noqa: PLC0415 - an optional extra, and slow to import
    except ImportError as error:
        raise BackboneUnavailable(f"The backbone {backbone.name} needs timm: {error}.") from error
    module: ModuleType = timm
    return module


def strip(model: nn.Module, backbone: Backbone) -> nn.Module:
    """Remove what follows the feature maps from a timm model, and return the model."""
    for name in backbone.left_out:
        if hasattr(model, name):
            setattr(model, name, nn.Identity())
    return model


def load_fastai_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict of a fastai `vision_learner` model under our names, in the same order, tensors shared.

    What `strip` removes from a timm model has no name of ours, so strip fastai's too.
    """
    return {_our_name(name): tensor for name, tensor in state.items()}


def to_fastai_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return our state dict under the names of a fastai `vision_learner` model: the inverse of `load_fastai_state`."""
    return {_their_name(name): tensor for name, tensor in state.items()}


def _their_name(name: str) -> str:
    part, rest = name.split(".", 1)
    if part == "head":
        return f"1.{rest}"
    return f"0.model.{rest}" if part == BODY else f"0.{RESNET.index(part)}.{rest}"


def _our_name(name: str) -> str:
    half, part, rest = name.split(".", 2)
    if half == "1":
        return f"head.{part}.{rest}"
    return f"{BODY}.{rest}" if part == "model" else f"{RESNET[int(part)]}.{rest}"


def _head(features: int, classes: int, kind: Head) -> nn.Sequential:
    """Return a linear layer after pooling, or fastai's default `create_head(features / 2, classes)`.

    With fastai's initial weights.
    """
    if kind == "linear_v1":
        return nn.Sequential(ConcatPool(), nn.Flatten(), nn.Linear(features, classes))
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
            draw_weights(layer.weight)
    return head
