"""The backbones that are offered: whose network each is, and where its pretrained weights are. Knows no torch."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tsukiji.errors import Invalid
from tsukiji.vision.preprocess import IMAGENET_MEAN, IMAGENET_STD, Channels, Preprocess

HUB_FILE: Final = "model.safetensors"


@dataclass(frozen=True)
class Backbone:
    """A network of a library, and weights for it; a test holds each fact against the library.

    Attributes:
        name: the library's.
        library: where network and weights come from.
        tags: the library's names of the pretrained weights, the one to fetch first: torchvision's files, timm's tags.
        left_out: parts of the library's network that come after the feature maps; ours has none of them.
        mean: subtracted from the pixels that the weights were trained on.
        std: what those were divided by.
    """

    name: str
    library: Literal["torchvision", "timm"]
    tags: tuple[str, ...]
    left_out: tuple[str, ...]
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD

    @property
    def hub(self) -> str:
        """The repository from which timm gets the weights."""
        return f"timm/{self.name}.{self.tags[0]}"


# timm's were chosen to be small enough for a CPU and to have weights under Apache-2.0 (ConvNeXt V2's are not for
# commercial use). A further one must give maps (N, C, h, w); it needs a line here and its name in `types.Backbone`.
BACKBONES: Final = {
    backbone.name: backbone
    for backbone in (
        Backbone("resnet18", "torchvision", ("resnet18-f37072fd.pth",), ("avgpool", "fc")),
        Backbone("resnet34", "torchvision", ("resnet34-b627a593.pth",), ("avgpool", "fc")),
        Backbone("resnet50", "torchvision", ("resnet50-11ad3fa6.pth", "resnet50-0676ba61.pth"), ("avgpool", "fc")),
        Backbone("mobilenetv3_large_100", "timm", ("ra_in1k",), ("conv_head", "norm_head", "act2", "classifier")),
        Backbone("efficientnet_b0", "timm", ("ra_in1k",), ("classifier",)),
        Backbone("convnext_atto", "timm", ("d2_in1k",), ("head",)),
        Backbone("convnext_tiny", "timm", ("in12k_ft_in1k",), ("head",)),
    )
}


def backbone_of(name: str) -> Backbone:
    """Raises: Invalid: there is no such backbone."""
    if name not in BACKBONES:
        raise Invalid(f"There is no backbone {name!r}.", hint=f"Use one of {', '.join(BACKBONES)}.")
    return BACKBONES[name]


def preprocess_of(name: str, image_size: int) -> Preprocess:
    """Return what a picture goes through on its way into a backbone: normalised as its weights expect it.

    Raises:
        Invalid: there is no such backbone.
    """
    backbone = backbone_of(name)
    return Preprocess(size=image_size, mean=backbone.mean, std=backbone.std)


@dataclass(frozen=True)
class Found:
    path: Path
    place: str
    """In a few words for a person."""


def find_weights(backbone: Backbone, folder: Path | None) -> Found | None:
    """Look for a backbone's weights in the weights folder, then in its library's cache; nothing is opened."""
    for path in _candidates(backbone, folder):
        if path.is_file():
            return Found(path, f"weights folder ({path.name})")
    cached = hub_cache(backbone) if backbone.library == "timm" else torch_cache() / backbone.tags[0]
    return Found(cached, f"{backbone.library} cache") if cached and cached.is_file() else None


def _candidates(backbone: Backbone, folder: Path | None) -> Iterator[Path]:
    if folder is None:
        return
    for suffix in ("safetensors", "pth", "pt"):
        yield folder / f"{backbone.name}.{suffix}"
    for tag in backbone.tags:
        yield folder / (tag if backbone.library == "torchvision" else f"{backbone.name}.{tag}.safetensors")


def torch_cache() -> Path:
    """Return the folder where torch keeps what it downloads."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def hub_cache(backbone: Backbone) -> Path | None:
    """Return timm's own copy of the weights; None without one, or without timm."""
    try:
        from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 — comes with timm, which is optional
    except ImportError:
        return None
    found = try_to_load_from_cache(backbone.hub, HUB_FILE)
    return Path(found) if isinstance(found, str) else None
