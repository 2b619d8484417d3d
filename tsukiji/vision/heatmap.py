"""Where a network looks for a label: Grad-CAM, and the test whether that can be believed. Knows no queue and no rows.

Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017. The
head is not linear, so the gradient of a label's logit at the last feature maps is needed; it goes through the head
alone, and no further. Whether the maps of a model mean anything is measured by insertion and deletion: Petsiuk, Das and
Saenko, "RISE: randomized input sampling for explanation of black-box models", BMVC 2018.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from tsukiji.vision.predictor import Floats, Predictor

STEPS: Final = 8
"""Pictures of each curve between nothing shown and all of it."""
COARSE: Final = 8
"""The picture that insertion begins with has so many times fewer pixels on each side: its colours, and no more."""
LEAST_PICTURES: Final = 10
"""Fewer say nothing about a model's maps."""
LEAST_BEATEN: Final = 0.8
"""A model whose maps beat random ones on a smaller part of its held-out pictures shows none. A good model's 20 pictures
may well show 0.85 where the truth is 0.9; at 0.8 one map in five says less than chance, and nobody can tell which."""


@dataclass(frozen=True)
class Sanity:
    """On how many held-out pictures a model's maps were tried, and on what part of them they beat random maps."""

    pictures: int
    beats_random: float

    @property
    def refusal(self) -> str | None:
        """Why maps are withheld; None where they are not."""
        if self.pictures < LEAST_PICTURES:
            return f"only {self.pictures} held-out images are there to try its heatmaps on; {LEAST_PICTURES} are needed"
        if self.beats_random < LEAST_BEATEN:
            return (
                f"its heatmaps beat random maps on {self.beats_random:.0%} of {self.pictures} held-out images only; "
                f"{LEAST_BEATEN:.0%} are needed"
            )
        return None


def grad_cam(predictor: Predictor, image: Image.Image, label: int) -> Floats:
    """Return what speaks for a label in an RGB picture: (h, w), 0 to 1, over the part that the network sees.

    The largest is 1; all are 0 where nothing speaks for it.
    """
    grid: Floats = _grad_cam(predictor, _inputs(predictor, [image]), label)
    return grid


def seen_part(predictor: Predictor, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the box of a picture that the network sees, in its pixels; a padded picture's goes beyond its edges."""
    side = {"crop": min, "pad": max}.get(predictor.preprocess.resize)
    if side is None:
        return 0, 0, width, height
    edge = side(width, height)
    left, upper = (width - edge) // 2, (height - edge) // 2
    return left, upper, left + edge, upper + edge


def try_maps(predictor: Predictor, images: Sequence[Image.Image], seed: int = 0) -> Sanity:
    """Return how often a map of the likeliest label beats a random one of the same size, on RGB pictures.

    The better map has the larger insertion less deletion: areas under the label's probability while the picture's
    pixels are put into a coarse copy of it, and while they are taken out, the map's largest first.
    """
    random = np.random.default_rng(seed)
    beaten = [_beats_random(predictor, image, random) for image in images]
    return Sanity(len(beaten), float(np.mean(beaten)) if beaten else 0.0)


def _beats_random(predictor: Predictor, image: Image.Image, random: np.random.Generator) -> bool:
    inputs = _inputs(predictor, [image])
    label = int(_probabilities(predictor, inputs)[0].argmax())
    found = _grad_cam(predictor, inputs, label)
    chance = random.random(found.shape, np.float32)
    shown = torch.cat([_steps(inputs, found), _steps(inputs, chance)])
    curves = _probabilities(predictor, shown)[:, label].reshape(2, 2, STEPS).mean(axis=2)
    ours, theirs = curves[:, 0] - curves[:, 1]
    return bool(ours > theirs)


def _steps(inputs: Tensor, grid: Floats) -> Tensor:
    """Return (2 * STEPS, 3, H, W): an input with more and more of the map's largest pixels, then with fewer and fewer.

    What is not there yet is a coarse copy of the picture; what is taken out is grey, the mean of all pictures.
    """
    height, width = inputs.shape[2:]
    order = interpolate(torch.from_numpy(grid)[None, None], (height, width), mode="bilinear").flatten()
    places = torch.empty_like(order, dtype=torch.long)
    places[order.argsort(descending=True, stable=True)] = torch.arange(len(order))
    count = len(order) * (torch.arange(STEPS) + 1) // (STEPS + 1)
    first = (places < count[:, None]).reshape(STEPS, 1, height, width).to(inputs.device)
    small = max(1, height // COARSE), max(1, width // COARSE)
    coarse = interpolate(interpolate(inputs.float(), small, mode="area"), (height, width), mode="bilinear")
    coarse = coarse.to(inputs.dtype)
    steps = torch.cat([torch.where(first, inputs, coarse), torch.where(first, torch.zeros_like(inputs), inputs)])
    layout = torch.channels_last if inputs.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    return steps.contiguous(memory_format=layout)


def _inputs(predictor: Predictor, images: Sequence[Image.Image]) -> Tensor:
    return predictor.normalise(predictor.preprocess.to_pixels(images))


@torch.inference_mode()
def _probabilities(predictor: Predictor, inputs: Tensor) -> Floats:
    size = predictor.batch_size
    parts = [inputs[start : start + size] for start in range(0, len(inputs), size)]
    rows = [predictor.model.embed(part).cpu().numpy() for part in parts]
    return predictor.conclude(np.concatenate(rows)).probabilities


def _grad_cam(predictor: Predictor, inputs: Tensor, label: int) -> Floats:
    """Return the map (h, w) of one input (1, 3, H, W)."""
    with torch.no_grad():
        _, maps = predictor.model.look(inputs)
    maps = maps.contiguous().requires_grad_()
    with torch.enable_grad():
        (gradients,) = torch.autograd.grad(predictor.model.classify(maps)[0, label], maps)
    weights = gradients.mean((2, 3), keepdim=True)
    found: Floats = (weights * maps).sum(1)[0].relu().detach().cpu().numpy()
    highest = found.max()
    return found / highest if highest > 0 else found
