"""Batch normalisation folded into the convolution before it: the same function, with one pass less over each map.

The arithmetic is torch's own (`torch.nn.utils.fusion`), after Jacob et al., "Quantization and training of neural
networks for efficient integer-arithmetic-only inference", CVPR 2018, section 3.2.
"""

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold(module: nn.Module) -> None:
    """Fold in place, in a module in evaluation mode, whatever stands as `convN` and `bnN`, or in a row.

    That is how torchvision's and timm's ResNets name them. Normalisations of other kinds (timm's, that activate, too)
    stay as they are.
    """
    for parent in list(module.modules()):
        for conv, norm in _pairs(parent):
            convolution, normalisation = getattr(parent, conv), getattr(parent, norm)
            if type(convolution) is nn.Conv2d and type(normalisation) is nn.BatchNorm2d:
                setattr(parent, conv, fuse_conv_bn_eval(convolution, normalisation))
                setattr(parent, norm, nn.Identity())


def _pairs(parent: nn.Module) -> list[tuple[str, str]]:
    names = [name for name, _ in parent.named_children()]
    if isinstance(parent, nn.Sequential):
        return list(pairwise(names))
    return [(name, f"bn{name[4:]}") for name in names if name.startswith("conv") and f"bn{name[4:]}" in names]
