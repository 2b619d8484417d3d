"""What a training does not need before its first step is not imported before it."""

import subprocess
import sys
from pathlib import Path

import pytest

SLOW = ("fastai", "torchvision", "timm", "sklearn", "pandas", "matplotlib", "sympy", "onnx")
PREPARE = f"""
import sys, torch
import training.__main__
from training import phases
from tsukiji.vision.model import build, build_on
from tsukiji.vision.weights import load_backbone_weights
with torch.device("meta"):
    build("resnet34", 2)
build_on("resnet34", build("resnet34", 2).body_state(), 2, "linear_v1")
body, _ = load_backbone_weights("efficientnet_lite0", folder=None, download=False)
build_on("efficientnet_lite0", body, 2, "linear_v1")
phases.trainer("quick")
print([name for name in {SLOW} if name in sys.modules])
"""


@pytest.mark.slow
def test_quick_gets_to_its_first_step_without_what_is_slow_to_import() -> None:
    told = subprocess.run(
        [sys.executable, "-c", PREPARE], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"
