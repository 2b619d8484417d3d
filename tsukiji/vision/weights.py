"""Where a backbone's ImageNet weights come from: a folder, torchvision's cache, or its download. Never from chance."""

import re
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.hub import download_url_to_file, get_dir
from torchvision.models import get_model_weights

from tsukiji.errors import WeightsInvalid, WeightsUnavailable
from tsukiji.vision.model import BODY, build

PROBE_SECONDS: Final = 5.0


def load_backbone_weights(backbone: str, *, folder: Path | None, download: bool) -> tuple[dict[str, Tensor], str]:
    """Return a backbone's pretrained state dict, without its classifier, and where it came from.

    Looks for `<backbone>.safetensors`, `.pth`, `.pt` and torchvision's own file name in `folder`, then in torchvision's
    cache; then downloads through torchvision, if that is allowed.

    Returns:
        float32 tensors under torchvision's names, checked against the architecture; and a few words for a person.

    Raises:
        WeightsUnavailable: they are in none of these places.
        WeightsInvalid: the file that was found is damaged or of another architecture.
        Invalid: there is no such backbone.
    """
    expected = _expected(backbone)
    url = get_model_weights(backbone).DEFAULT.url
    cached = Path(get_dir()) / "checkpoints" / Path(url).name
    for path in _candidates(folder, backbone):
        if path.is_file():
            return _load(path, expected), f"weights folder ({path.name})"
    if cached.is_file():
        return _load(cached, expected), "torchvision cache"
    looked = f"Looked for {backbone}.safetensors, .pth, .pt and {cached.name} in {folder or 'no weights folder'}, "
    if not download:
        raise WeightsUnavailable(f"{looked}and in torchvision's cache; downloads are off.")
    try:
        _download(url, cached)
    except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError: the hash is another
        raise WeightsUnavailable(f"{looked}in torchvision's cache, and at its address: {error}") from error
    return _load(cached, expected), "torchvision download"


def _candidates(folder: Path | None, backbone: str) -> Iterator[Path]:
    if folder is None:
        return
    for suffix in ("safetensors", "pth", "pt"):
        yield folder / f"{backbone}.{suffix}"
    for version in get_model_weights(backbone):
        yield folder / Path(version.url).name


def _download(url: str, path: Path) -> None:
    # torch's own download waits for a closed network as long as the system does; this knock does not.
    urlopen(url, timeout=PROBE_SECONDS).close()  # noqa: S310 - torchvision's own https address
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = re.search(r"-([0-9a-f]{8,})\.", path.name)
    download_url_to_file(url, str(path), digest and digest[1], progress=False)


def _expected(backbone: str) -> dict[str, Tensor]:
    with torch.device("meta"):
        state = build(backbone, 2).state_dict()
    return {name: tensor for name, tensor in state.items() if name.split(".")[0] in BODY}


def _load(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = _read(path)
    state: dict[str, Tensor] = {}
    for name, like in expected.items():
        # Checkpoints from before torch 1.0 lack these counters; nothing depends on them.
        tensor = found.get(name, torch.tensor(0) if name.endswith("num_batches_tracked") else None)
        if not isinstance(tensor, Tensor) or tensor.shape != like.shape:
            raise WeightsInvalid(f"{path.name} lacks {name} with shape {tuple(like.shape)}.")
        state[name] = tensor.to(like.dtype)
        if not bool(torch.isfinite(state[name]).all()):
            raise WeightsInvalid(f"{path.name} holds values that are not numbers, in {name}.")
    if strange := sorted(name for name in found if name not in expected and not name.startswith("fc.")):
        raise WeightsInvalid(f"{path.name} is of another architecture: it holds {strange[0]}.")
    return state


def _read(path: Path) -> Mapping[str, Any]:
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # the readers fail with whatever their parsing ran into
        raise WeightsInvalid(f"{path.name} cannot be read: {error}") from error
    if not isinstance(state, Mapping):
        raise WeightsInvalid(f"{path.name} holds no state dict.")
    return state
