"""Fuses batch normalisation into the preceding convolution: the same function, with one pass less over each map.

The arithmetic is torch's own (`torch.nn.utils.fusion`), after Jacob et al., "Quantization and training of neural
networks for efficient integer-arithmetic-only inference", CVPR 2018, section 3.2.
"""

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold(module: nn.Module) -> None:
    """Fuse in place, in a module in evaluation mode, each batch normalisation declared right after a convolution.

    That is their order in our ResNet and EfficientNet-Lite. Other kinds of normalisation (timm's, with an activation)
    are left unchanged.
    """
    for parent in list(module.modules()):
        for (conv, convolution), (norm, normalisation) in pairwise(list(parent.named_children())):
            if isinstance(convolution, nn.Conv2d) and type(normalisation) is nn.BatchNorm2d:
                setattr(parent, conv, fuse_conv_bn_eval(convolution, normalisation))
                setattr(parent, norm, nn.Identity())
