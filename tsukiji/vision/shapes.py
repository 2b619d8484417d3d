"""Names and shapes of the weights of each architecture, without building it. Knows no torch.

`shapes.json` is written by `python -m devtools.vision_shapes`; a test compares it with the networks.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from tsukiji.types import Backbone

Head = Literal["fastai_concat_v1", "linear_v1"]
"""What follows the maps: fastai's head with a hidden layer, or one linear layer after pooling."""
FILE: Final = Path(__file__).with_name("shapes.json")
HIDDEN: Final = 512
"""Width of the head's hidden layer."""
AXES: Final = 512
"""Most axes of the covariance in `known.safetensors`."""
BANK_IMAGES: Final = 10_000
"""Most rows of the bank in older packages."""
SCORES: Final = 1001
"""Most similarities of held-out pictures."""
COUNTER: Final = "num_batches_tracked"
"""Number of batches seen by a normalisation: the only kind of integer tensor."""


@dataclass(frozen=True)
class Architecture:
    """A backbone's network without its head.

    Attributes:
        num_features: channels of its last maps.
        num_middle: channels of the maps before its last stage.
        body: shape of each of its tensors, by name.
    """

    num_features: int
    num_middle: int
    body: dict[str, list[int]]

    def weights(self, classes: int, head: Head = "fastai_concat_v1") -> dict[str, list[int]]:
        """Return the shape of each tensor of the network with a head for that many classes."""
        wide = 2 * self.num_features
        if head == "linear_v1":
            return self.body | {"head.2.weight": [classes, wide], "head.2.bias": [classes]}
        return self.body | {
            **_normalisation("head.2", wide),
            "head.4.weight": [HIDDEN, wide],
            **_normalisation("head.6", HIDDEN),
            "head.8.weight": [classes, HIDDEN],
        }


@cache
def architecture_of(backbone: Backbone) -> Architecture:
    return Architecture(**json.loads(FILE.read_text("utf-8"))[backbone])


def dtype_of(name: str) -> str:
    """Return a tensor's type as safetensors names it."""
    return "I64" if name.endswith(COUNTER) else "F32"


def _normalisation(name: str, width: int) -> dict[str, list[int]]:
    values = {f"{name}.{part}": [width] for part in ("weight", "bias", "running_mean", "running_var")}
    return values | {f"{name}.{COUNTER}": []}
