"""The model of a package as its peers run it: the plain network, float32, as their documentation has it."""

from pathlib import Path

from torch import nn
from torchvision import transforms

from tsukiji.vision import package
from tsukiji.vision.predictor import load_model


def load_network(folder: Path) -> nn.Module:
    """Return the network in evaluation mode, with its trained weights."""
    return load_model(folder, package.read_config(folder)).eval()


def load_transform(folder: Path) -> transforms.Compose:
    """Return torchvision's way from a picture to the network's input, of the same size and scale as ours."""
    preprocess = package.read_preprocess(folder)
    return transforms.Compose(
        [
            transforms.Resize(preprocess.size),
            transforms.CenterCrop(preprocess.size),
            transforms.ToTensor(),
            transforms.Normalize(preprocess.mean, preprocess.std),
        ]
    )
