"""Heatmaps: the evidence for a label by position, by two methods.

*Grad-CAM*: Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV
2017. The head is not linear, so the gradient of a label's logit at the last feature maps is needed; it passes through
the head only. *Occlusion*: Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014; each
cell of the picture is hidden, and also shown alone. It needs many forward passes.
`tsukiji.explain.heatmap_validation` decides which one a model uses.
"""

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from tsukiji.vision.engines import Floats
from tsukiji.vision.predictor import Predictor

CELLS: Final = 5
"""On each side of an occlusion map; each cell costs two passes."""
COARSE: Final = 8
"""A coarse copy of a picture has this many times fewer pixels on each side, leaving only its colours."""
LEAST_PROBABILITY: Final = 1e-6

Method = Literal["grad_cam", "occlusion"]


def explain(predictor: Predictor, image: Image.Image, label: int, method: Method) -> Floats:
    """Return the evidence for a label in an RGB picture: (h, w), 0 to 1, over the part that the network sees.

    The maximum is 1; all values are 0 if there is no evidence.
    """
    return METHODS[method](predictor, inputs_of(predictor, image), label)


def seen_part(predictor: Predictor, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the box of a picture that the network sees, in its pixels; with padding it exceeds the picture."""
    side = {"crop": min, "pad": max}.get(predictor.preprocess.resize)
    if side is None:
        return 0, 0, width, height
    edge = side(width, height)
    left, upper = (width - edge) // 2, (height - edge) // 2
    return left, upper, left + edge, upper + edge


def grad_cam(predictor: Predictor, inputs: Tensor, label: int) -> Floats:
    """Return the map (h, w) of one input (1, 3, H, W), of the size of the network's last maps."""
    with torch.no_grad():
        _, maps = predictor.model.look(inputs)
    maps = maps.contiguous().requires_grad_()
    with torch.enable_grad():
        (gradients,) = torch.autograd.grad(predictor.model.classify(maps)[0, label], maps)
    weights = gradients.mean((2, 3), keepdim=True)
    return _scaled((weights * maps).sum(1)[0].detach().cpu().numpy())


def occlusion(predictor: Predictor, inputs: Tensor, label: int) -> Floats:
    """Return the map (CELLS, CELLS) of one input (1, 3, H, W).

    Each value is the increase of the label's log odds when a cell is inserted into a coarse copy of the picture, plus
    the decrease when it is removed from the picture.
    """
    height, width = inputs.shape[2:]
    rows, columns = (torch.arange(length, device=inputs.device) * CELLS // length for length in (height, width))
    numbers = torch.arange(CELLS**2, device=inputs.device)
    cells = (rows[:, None] * CELLS + columns == numbers[:, None, None])[:, None]
    everywhere = torch.ones_like(cells[:1])
    masks = torch.cat([~everywhere, cells])  # the first leaves the coarse copy, and the picture, unchanged
    odds = log_odds(probabilities_of(predictor, put_and_take(inputs, masks))[:, label]).reshape(2, -1)
    risen, fallen = odds[0, 1:] - odds[0, 0], odds[1, 0] - odds[1, 1:]
    return _scaled((risen + fallen).reshape(CELLS, CELLS))


METHODS: Final[dict[Method, Callable[[Predictor, Tensor, int], Floats]]] = {
    "grad_cam": grad_cam,
    "occlusion": occlusion,
}


def put_and_take(inputs: Tensor, places: Tensor) -> Tensor:
    """Return (2 * N, 3, H, W): an input's places (N, 1, H, W) inserted into a coarse copy, then removed from itself.

    Removed places are grey, the mean of all pictures.
    """
    height, width = inputs.shape[2:]
    small = max(1, height // COARSE), max(1, width // COARSE)
    coarse = interpolate(interpolate(inputs.float(), small, mode="area"), (height, width), mode="bilinear")
    coarse = coarse.to(inputs.dtype)
    both = torch.cat([torch.where(places, inputs, coarse), torch.where(places, torch.zeros_like(inputs), inputs)])
    layout = torch.channels_last if inputs.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    return both.contiguous(memory_format=layout)


def inputs_of(predictor: Predictor, image: Image.Image) -> Tensor:
    return predictor.normalise(predictor.preprocess.to_pixels([image]))


@torch.inference_mode()
def probabilities_of(predictor: Predictor, inputs: Tensor) -> Floats:
    size = predictor.batch_size
    parts = [inputs[start : start + size] for start in range(0, len(inputs), size)]
    rows = [predictor.model.embed(part).cpu().numpy() for part in parts]
    return predictor.conclude(np.concatenate(rows)).probabilities


def log_odds(probabilities: Floats) -> Floats:
    bounded = probabilities.astype(np.float64).clip(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    odds: Floats = np.log(bounded / (1 - bounded)).astype(np.float32)
    return odds


def _scaled(values: Floats) -> Floats:
    found: Floats = values.clip(0)
    highest = found.max()
    return found / highest if highest > 0 else found
