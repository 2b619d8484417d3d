"""The body of a ResNet: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016.

The same network as torchvision's, tensor by tensor (tests compare them), because torchvision takes longer to import
than all else that a worker needs (docs/decisions/0026). As there, a bottleneck's stride is in its 3 x 3 convolution
("ResNet V1.5").
"""

from typing import Final, Literal

from torch import Tensor, nn

STAGES: Final = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
"""Blocks in each stage."""
BOTTLENECKS: Final = frozenset({"resnet50"})
STEM: Final = 64


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with a shortcut: (N, `inputs`, H, W) to (N, `width`, H / stride, W / stride)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = convolution(inputs, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = convolution(width, width, 3), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, maps: Tensor) -> Tensor:
        found = self.relu(self.bn1(self.conv1(maps)))
        found = self.bn2(self.conv2(found))
        found += maps if self.downsample is None else self.downsample(maps)
        grown: Tensor = self.relu(found)
        return grown


class Bottleneck(nn.Module):
    """As `BasicBlock`, with 1 x 1, 3 x 3 and 1 x 1: to (N, 4 * `width`, H / stride, W / stride)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1, self.bn1 = convolution(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = convolution(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = convolution(width, outputs, 1), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, outputs, stride)

    def forward(self, maps: Tensor) -> Tensor:
        found = self.relu(self.bn1(self.conv1(maps)))
        found = self.relu(self.bn2(self.conv2(found)))
        found = self.bn3(self.conv3(found))
        found += maps if self.downsample is None else self.downsample(maps)
        grown: Tensor = self.relu(found)
        return grown


def resnet_parts(name: str) -> tuple[dict[str, nn.Module], int]:
    """Return the parts of a body with random weights, in order and under torchvision's names, and the last width."""
    block = Bottleneck if name in BOTTLENECKS else BasicBlock
    parts: dict[str, nn.Module] = {
        "conv1": convolution(3, STEM, 7, 2),
        "bn1": nn.BatchNorm2d(STEM),
        "relu": nn.ReLU(inplace=True),
        "maxpool": nn.MaxPool2d(3, stride=2, padding=1),
    }
    inputs = STEM
    for number, blocks in enumerate(STAGES[name]):
        width = STEM * 2**number
        stage = []
        for place in range(blocks):
            stage.append(block(inputs, width, 2 if number > 0 and place == 0 else 1))
            inputs = width * block.expansion
        parts[f"layer{number + 1}"] = nn.Sequential(*stage)
    return parts, inputs


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    found = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    draw_weights(found.weight, mode="fan_out")
    return found


def draw_weights(weights: Tensor, mode: Literal["fan_in", "fan_out"] = "fan_in") -> None:
    """Draw He's initial weights; not on the meta device, where even this would import SymPy (2.6 s)."""
    if not weights.is_meta:
        nn.init.kaiming_normal_(weights, mode=mode, nonlinearity="relu")


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """Return the projection of a block's input to its output's shape; None if it already has it."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
