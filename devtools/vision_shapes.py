"""`python -m devtools.vision_shapes`: renews `tsukiji/vision/shapes.json`, the shapes of each backbone's weights."""

import json

import torch

from tsukiji.vision.backbones import BACKBONES
from tsukiji.vision.model import build
from tsukiji.vision.shapes import FILE


def measured(backbone):
    """Return what the network of a backbone has, as the file says it."""
    with torch.device("meta"):
        model = build(backbone, 2)
    body = {name: list(tensor.shape) for name, tensor in model.state_dict().items() if not name.startswith("head.")}
    return {"num_features": model.num_features, "num_middle": model.num_middle, "body": body}


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(measured(name), separators=(',', ':'))}" for name in BACKBONES)
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
