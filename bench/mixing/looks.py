"""Heatmaps of each backbone: how often they beat random maps on photos that no training saw."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from bench.mixing.photos import Photo
from bench.teaching.lessons import Lesson
from bench.teaching.ours import School
from tsukiji.vision.backbones import BACKBONES, find_weights
from tsukiji.vision.heatmap import try_maps
from tsukiji.vision.model import build
from tsukiji.vision.predictor import Predictor


def measure(
    lesson: Lesson, school: School, photos: Sequence[Photo], backbones: Sequence[str], seed: int
) -> dict[str, float]:
    """Return the worst share and each backbone's own; those whose weights are not here get a random body, and say so.

    On a random body the head still learns something, and the question stays whether the heatmap shows what it goes by.
    """
    images = [photo.open() for photo in photos]
    found: dict[str, float] = {}
    for name in backbones:
        is_random = find_weights(BACKBONES[name], school.weights) is None
        if is_random:
            write_random(name, school.weights or school.folder, seed)
        trained = school.train(lesson, seed, f"looks-{name}", preset="quick", backbone=name)
        share = try_maps(Predictor.load(trained.folder / "package", "cpu"), images).beats_random
        found[f"heatmap_beats_random.{name}{'_random_body' if is_random else ''}"] = share
    return {"heatmap_beats_random": min(found.values()), **found}


def write_random(backbone: str, folder: Path, seed: int) -> None:
    """Put a body of random weights where trainings look for pretrained ones."""
    torch.manual_seed(seed)
    state = {name: tensor.contiguous() for name, tensor in build(backbone, 1).body_state().items()}
    save_file(state, folder / f"{backbone}.safetensors")
