"""A backbone's pretrained weights: found locally and checked, or downloaded. Never random."""

import re
from collections.abc import Mapping
from contextlib import suppress
from hashlib import file_digest
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import urlopen

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.hub import download_url_to_file

from tsukiji.errors import BackboneUnavailable, WeightsInvalid, WeightsUnavailable
from tsukiji.vision.backbones import (
    BACKBONES,
    HUB_FILE,
    Backbone,
    Found,
    Pretrained,
    WeightsPackage,
    backbone_of,
    file_stem,
    find_weights,
    torch_cache,
)
from tsukiji.vision.model import build

PROBE_SECONDS: Final = 5.0


def load_backbone_weights(
    backbone: str, *, folder: Path | None, download: bool, weights: str | None = None
) -> tuple[dict[str, Tensor], str]:
    """Return a backbone's pretrained state dict, without its classifier, and its source.

    Looks where `backbones.find_weights` does; then downloads into the library's own cache, if allowed.

    Args:
        backbone: its name.
        folder: the weights folder.
        download: whether downloading is allowed.
        weights: which ones, if there are several; default: the backbone's first.

    Returns:
        float32 tensors under the library's names, checked against the architecture; and a few words for a person.

    Raises:
        WeightsUnavailable: they are in none of these places.
        WeightsInvalid: the file is damaged or of another architecture.
        BackboneUnavailable: it needs a library that is not installed.
        Invalid: the backbone is unknown, or has no such weights.
    """
    facts = backbone_of(backbone)
    wanted = facts.pretrained(weights)
    expected = _expected(backbone)
    if found := find_weights(facts, folder, wanted):
        return _load(found, expected, facts), found.place
    if not download:
        raise WeightsUnavailable(f"{_looked(facts, wanted, folder)}; downloads are off.")
    try:
        path = _download(facts, wanted)
    except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError: wrong hash
        raise WeightsUnavailable(f"{_looked(facts, wanted, folder)}, and at its address: {error}") from error
    found = Found(path, f"{wanted.library} download")
    return _load(found, expected, facts), found.place


def fetch(backbone: str, folder: Path, weights: str | None = None) -> Path:
    """Copy or download a backbone's weights into the folder, unless they are there already.

    Raises what `load_backbone_weights` raises.
    """
    facts = backbone_of(backbone)
    wanted = facts.pretrained(weights)
    found = find_weights(facts, folder, wanted)
    if found and found.path.parent == folder:
        return found.path
    state, _ = load_backbone_weights(backbone, folder=None, download=True, weights=weights)
    return _save(state, folder / f"{file_stem(facts, wanted)}.safetensors")


def add(file: Path, folder: Path, backbone: str | None = None, weights: str | None = None) -> tuple[str, Path]:
    """Check a weights file and copy it into the folder, replacing any; without a backbone's name, detect it.

    Returns:
        the backbone, and the file in the folder.

    Raises:
        WeightsInvalid: the file is damaged, does not fit, or matches no backbone.
        BackboneUnavailable: it needs a library that is not installed.
        Invalid: the backbone is unknown, or has no such weights.
    """
    found = _read(file)
    facts = backbone_of(backbone or _recognise(found, file.name))
    state = _check(found, _expected(facts.name), facts, file.name)
    return facts.name, _save(state, folder / f"{file_stem(facts, facts.pretrained(weights))}.safetensors")


def _recognise(found: Mapping[str, Any], file: str) -> str:
    """Return the backbone with the most similar tensor names."""
    likeness = {}
    for name in BACKBONES:
        with suppress(BackboneUnavailable):  # then it cannot be checked here
            expected = _expected(name).keys()
            likeness[name] = len(expected & found.keys()) / len(expected | found.keys())
    best = max(likeness, key=likeness.__getitem__)
    if not likeness[best]:
        raise WeightsInvalid(f"{file} is of no known backbone: {', '.join(likeness)}.")
    return best


def _looked(backbone: Backbone, weights: Pretrained, folder: Path | None) -> str:
    names = ", ".join([f"{file_stem(backbone, weights)}.safetensors, .pth, .pt", *weights.files])
    looked = f"Looked for {names} in {folder or 'no weights folder'}, and in {weights.library}'s cache"
    return looked if weights.package is None else f"{looked}, and for the package {weights.package.distribution}"


def _download(backbone: Backbone, weights: Pretrained) -> Path:
    """Download into the library's cache, and return the file.

    The library's own download waits for a closed network as long as the system does; the probe before it does not.
    """
    if weights.library == "timm":
        from huggingface_hub import hf_hub_download, hf_hub_url  # noqa: PLC0415 - comes with timm, which is optional

        with suppress(HTTPError):  # the server responds: the library, which may have a token, reports errors better
            urlopen(hf_hub_url(weights.hub, HUB_FILE), timeout=PROBE_SECONDS).close()  # noqa: S310 — the library's own
        try:
            return Path(hf_hub_download(weights.hub, HUB_FILE))
        except Exception as error:  # the HTTP library has exceptions of its own
            raise OSError(str(error)) from error
    from torchvision.models import get_model_weights  # noqa: PLC0415 - slow to import, and needed only here

    url = get_model_weights(backbone.network).DEFAULT.url
    path = torch_cache() / weights.files[0]
    urlopen(url, timeout=PROBE_SECONDS).close()  # noqa: S310 — torchvision's own https address
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = re.search(r"-([0-9a-f]{8,})\.", path.name)
    download_url_to_file(url, str(path), digest and digest[1], progress=False)
    return path


def _save(state: dict[str, Tensor], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".adding-") as draft:
        file = Path(draft) / path.name
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, file, {"format": "pt"})
        file.chmod(0o644)  # created for this user alone; workers may run as another
        return file.replace(path)


def _expected(backbone: str) -> dict[str, Tensor]:
    with torch.device("meta"):
        return build(backbone, 2).body_state()


def _load(found: Found, expected: Mapping[str, Tensor], backbone: Backbone) -> dict[str, Tensor]:
    state = _read(found.path) if found.package is None else _read_package(found.path, found.package, expected)
    return _check(state, expected, backbone, found.path.name)


def _read_package(path: Path, package: WeightsPackage, expected: Mapping[str, Tensor]) -> Mapping[str, Any]:
    """Return a package's tensors under the library's names, which have the same order; the classifier's come last.

    Raises:
        WeightsInvalid: it is not the expected file.
    """
    size = path.stat().st_size
    if size != package.size:
        raise WeightsInvalid(
            f"{path.name} of the package {package.distribution} has {size:,} bytes, not {package.size:,}."
        )
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    if digest != package.sha256:
        raise WeightsInvalid(f"{path.name} of the package {package.distribution} has another sha256: {digest}.")
    return dict(zip(expected, _read(path).values(), strict=False))


def _check(
    found: Mapping[str, Any], expected: Mapping[str, Tensor], backbone: Backbone, file: str
) -> dict[str, Tensor]:
    """Return the body's tensors in float32, without those after the body."""
    state: dict[str, Tensor] = {}
    for name, like in expected.items():
        # Checkpoints from before torch 1.0 lack these counters; nothing depends on them.
        tensor = found.get(name, torch.tensor(0) if name.endswith("num_batches_tracked") else None)
        if not isinstance(tensor, Tensor) or tensor.shape != like.shape:
            raise WeightsInvalid(f"{file} lacks {name} with shape {tuple(like.shape)}.")
        state[name] = tensor.to(like.dtype).contiguous()
        if not bool(torch.isfinite(state[name]).all()):
            raise WeightsInvalid(f"{file} contains values that are not numbers, in {name}.")
    left_out = tuple(f"{part}." for part in backbone.left_out)
    if strange := sorted(name for name in found if name not in expected and not name.startswith(left_out)):
        raise WeightsInvalid(f"{file} is of another architecture: it has {strange[0]}.")
    return state


def _read(path: Path) -> Mapping[str, Any]:
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except UnpicklingError as error:  # torch's message suggests running the code in the file
        raise WeightsInvalid(f"{path.name} cannot be read: it contains something other than tensors.") from error
    except Exception as error:  # the readers raise many kinds of exceptions
        raise WeightsInvalid(f"{path.name} cannot be read: {error}") from error
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise WeightsInvalid(f"{path.name} contains no state dict.")
    return state
