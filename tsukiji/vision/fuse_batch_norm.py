"""Batch normalisation folded into the convolution before it: the same function, with one pass less over each map.

The arithmetic is torch's own (`torch.nn.utils.fusion`), after Jacob et al., "Quantization and training of neural
networks for efficient integer-arithmetic-only inference", CVPR 2018, section 3.2.
"""

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold(module: nn.Module) -> None:
    """Fold in place, in a module in evaluation mode, each normalisation that is declared next after a convolution.

    So they are in our ResNet and our EfficientNet-Lite. Normalisations of other kinds (timm's, that activate, too) stay
    as they are.
    """
    for parent in list(module.modules()):
        for (conv, convolution), (norm, normalisation) in pairwise(list(parent.named_children())):
            if isinstance(convolution, nn.Conv2d) and type(normalisation) is nn.BatchNorm2d:
                setattr(parent, conv, fuse_conv_bn_eval(convolution, normalisation))
                setattr(parent, norm, nn.Identity())
