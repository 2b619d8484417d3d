"""The body of EfficientNet-Lite0 and -Lite2, designed for devices with integer arithmetic.

EfficientNet (Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019) with
ReLU6 activations, without squeeze-and-excitation, and with a stem and a head of fixed width.

The same networks as timm's `tf_efficientnet_lite0` and `tf_efficientnet_lite2`, tensor by tensor (tests compare them),
because timm, and torchvision with it, take longer to import than PyTorch (docs/decisions/0026).
"""

import math
from typing import Final, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from tsukiji.vision.resnet import draw_weights

SCALES: Final = {"efficientnet_lite0": (1.0, 1.0), "efficientnet_lite2": (1.1, 1.2)}
"""Multipliers of the widths and the numbers of blocks."""
STEM: Final = 32
FEATURES: Final = 1280
EPSILON: Final = 1e-3
"""Of the batch normalisations; TensorFlow's default, used in pretraining."""
MIDDLE: Final = 4
"""The last stage with maps of a sixteenth of the picture's sides."""


class Stage(NamedTuple):
    """Consecutive blocks; the first has the stride."""

    blocks: int
    width: int
    expansion: int
    kernel: int
    stride: int


STAGES: Final = (
    Stage(1, 16, 1, 3, 1),
    Stage(2, 24, 6, 3, 2),
    Stage(2, 40, 6, 5, 2),
    Stage(3, 80, 6, 3, 2),
    Stage(3, 112, 6, 5, 1),
    Stage(4, 192, 6, 5, 2),
    Stage(1, 320, 6, 3, 1),
)


class HalvingConv2d(nn.Conv2d):
    """A convolution of stride 2 with TensorFlow's padding: an odd zero goes to the bottom and the right.

    (N, C, H, W) to (N, C', ceil(H / 2), ceil(W / 2)).
    """

    def forward(self, maps: Tensor) -> Tensor:
        height, width = (self.kernel_size[0] - 2 + side % 2 for side in maps.shape[2:])
        padded = functional.pad(maps, (width // 2, width - width // 2, height // 2, height - height // 2))
        return super().forward(padded)


class DepthwiseSeparable(nn.Module):
    """A depthwise convolution, then a 1 x 1 one: (N, `inputs`, H, W) to (N, `outputs`, H, W)."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv_dw, self.bn1 = convolution(inputs, inputs, kernel, groups=inputs), normalisation(inputs)
        self.conv_pw, self.bn2 = convolution(inputs, outputs), normalisation(outputs)
        self.act = nn.ReLU6(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.act(self.bn1(self.conv_dw(maps)))
        found: Tensor = self.bn2(self.conv_pw(maps))
        return found


class InvertedResidual(nn.Module):
    """1 x 1 expansion, depthwise convolution, 1 x 1 projection, and a residual connection if shapes match.

    (N, `inputs`, H, W) to (N, `outputs`, H / stride, W / stride), rounded up.
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.conv_pw, self.bn1 = convolution(inputs, wide), normalisation(wide)
        self.conv_dw, self.bn2 = convolution(wide, wide, kernel, stride, groups=wide), normalisation(wide)
        self.conv_pwl, self.bn3 = convolution(wide, outputs), normalisation(outputs)
        self.act = nn.ReLU6(inplace=True)
        self.has_skip = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        found = self.act(self.bn1(self.conv_pw(maps)))
        found = self.act(self.bn2(self.conv_dw(found)))
        found = self.bn3(self.conv_pwl(found))
        narrowed: Tensor = found + maps if self.has_skip else found
        return narrowed


class EfficientNetLite(nn.Module):
    """Normalised images (N, 3, H, W) to maps (N, 1280, H / 32, W / 32), rounded up; with random weights.

    Attributes:
        num_middle: channels of the maps before the last two stages, which have H / 16 and W / 16.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        stages = stages_of(name)
        self.num_middle = stages[MIDDLE].width
        self.conv_stem, self.bn1 = convolution(3, STEM, 3, 2), normalisation(STEM)
        inputs = STEM
        self.blocks = nn.Sequential()
        for stage in stages:
            self.blocks.append(build_stage(inputs, stage))
            inputs = stage.width
        self.conv_head, self.bn2 = convolution(inputs, FEATURES), normalisation(FEATURES)
        self.act = nn.ReLU6(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        return self.stages(images)[1]

    def stages(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps (N, num_middle, H / 16, W / 16), and the last ones."""
        middle = self.blocks[: MIDDLE + 1](self.act(self.bn1(self.conv_stem(images))))
        return middle, self.act(self.bn2(self.conv_head(self.blocks[MIDDLE + 1 :](middle))))


def stages_of(name: str) -> list[Stage]:
    """Return the stages of the network of this name; the first and the last always have one block."""
    width, depth = SCALES[name]
    first, *between, last = (stage._replace(width=eights(stage.width * width)) for stage in STAGES)
    return [first, *(stage._replace(blocks=math.ceil(stage.blocks * depth)) for stage in between), last]


def eights(width: float) -> int:
    """Round a width to the nearest multiple of 8."""
    return int(width + 4) // 8 * 8


def build_stage(inputs: int, stage: Stage) -> nn.Sequential:
    blocks, width, expansion, kernel, stride = stage
    if expansion == 1:
        return nn.Sequential(DepthwiseSeparable(inputs, width, kernel))
    first = InvertedResidual(inputs, width, expansion, kernel, stride)
    return nn.Sequential(first, *(InvertedResidual(width, width, expansion, kernel, 1) for _ in range(1, blocks)))


def convolution(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    if stride == 1:
        found = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    else:
        found = HalvingConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    # Count outputs per group: torch counts those of all groups, though each input feeds only its own.
    draw_weights(found.weight, mode="fan_out" if groups == 1 else "fan_in")
    return found


def normalisation(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=EPSILON)
