"""Validates a model's heatmaps, and chooses the better method.

Measured by insertion and deletion: Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation of
black-box models", BMVC 2018. The better map has the larger insertion minus deletion: areas under the label's
probability while the picture's pixels are inserted into a coarse copy, and while they are deleted, largest values
first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from tsukiji.explain.heatmap import CELLS, METHODS, Method, inputs_of, probabilities_of, put_and_take
from tsukiji.vision.engines import Floats
from tsukiji.vision.predictor import Predictor

STEPS: Final = 8
"""Steps of each curve between an empty and a complete picture."""
RANDOM_MAPS: Final = 3
"""A map must be better than the mean of this many random ones: a single one may be lucky."""
LEAST_PICTURES: Final = 10
"""With fewer, a model's maps are not validated."""
LEAST_BEATEN: Final = 0.8
"""A model whose maps beat random ones on a smaller fraction of its held-out pictures shows none. With 20 pictures a
good model may well measure 0.85 if the truth is 0.9; at 0.8 one map in five is worse than chance, without telling
which."""


@dataclass(frozen=True)
class HeatmapValidation:
    """Results on held-out pictures.

    Attributes:
        pictures: how many.
        shares: fraction of them on which the maps of each method beat random ones.
    """

    pictures: int
    shares: dict[Method, float]

    @property
    def method(self) -> Method:
        """The better one; Grad-CAM, which is cheaper, if they are equal."""
        return max(METHODS, key=lambda method: self.shares.get(method, 0.0))

    @property
    def beats_random(self) -> float:
        """The share of the better method."""
        return self.shares.get(self.method, 0.0)

    @property
    def refusal(self) -> str | None:
        """Why maps are withheld; None if they are not."""
        if self.pictures < LEAST_PICTURES:
            return f"only {self.pictures} held-out images to validate its heatmaps; {LEAST_PICTURES} are needed"
        if self.beats_random < LEAST_BEATEN:
            return (
                f"its heatmaps beat random maps on only {self.beats_random:.0%} of {self.pictures} held-out images; "
                f"{LEAST_BEATEN:.0%} are needed"
            )
        return None


def try_maps(predictor: Predictor, images: Sequence[Image.Image], seed: int = 0) -> HeatmapValidation:
    """Return how often maps of the likeliest label beat random ones on RGB pictures, by method."""
    random = np.random.default_rng(seed)
    beaten = [_beaten(predictor, image, random) for image in images]
    return HeatmapValidation(
        len(beaten), {method: float(np.mean([row[method] for row in beaten])) for method in METHODS if beaten}
    )


def _beaten(predictor: Predictor, image: Image.Image, random: np.random.Generator) -> dict[Method, bool]:
    inputs = inputs_of(predictor, image)
    label = int(probabilities_of(predictor, inputs)[0].argmax())
    maps = [make(predictor, inputs, label) for make in METHODS.values()]
    chance = random.random((RANDOM_MAPS, CELLS, CELLS), np.float32)
    shown = torch.cat([_steps(inputs, each) for each in (*maps, *chance)])
    curves = probabilities_of(predictor, shown)[:, label].reshape(-1, 2, STEPS).mean(axis=2)
    scores = curves[:, 0] - curves[:, 1]
    return {method: bool(score > scores[len(METHODS) :].mean()) for method, score in zip(METHODS, scores, strict=False)}


def _steps(inputs: Tensor, values: Floats) -> Tensor:
    """Return (2 * STEPS, 3, H, W): a coarse input with more and more of a map's largest pixels, then one with fewer."""
    height, width = inputs.shape[2:]
    order = interpolate(torch.from_numpy(values)[None, None], (height, width), mode="bilinear").flatten()
    places = torch.empty_like(order, dtype=torch.long)
    places[order.argsort(descending=True, stable=True)] = torch.arange(len(order))
    count = len(order) * (torch.arange(STEPS) + 1) // (STEPS + 1)
    first = (places < count[:, None]).reshape(STEPS, 1, height, width)
    return put_and_take(inputs, first.to(inputs.device))
