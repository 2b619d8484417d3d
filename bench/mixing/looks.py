"""Heatmaps of each backbone: how often they beat random maps on unseen photos."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from bench.mixing.photos import Photo
from bench.teaching.lessons import Lesson
from bench.teaching.ours import School
from tsukiji.explain.heatmap_validation import try_maps
from tsukiji.vision.backbones import BACKBONES, find_weights
from tsukiji.vision.model import build
from tsukiji.vision.predictor import Predictor
from worker.inference.explanation_calibration import TRIED_IMAGES


def measure(
    lesson: Lesson, school: School, photos: Sequence[Photo], backbones: Sequence[str], seed: int
) -> dict[str, float]:
    """Return the worst share, each backbone's own, and those of each method.

    The method is chosen as the service does, by pictures of the training's own validation. Backbones whose weights are
    not here get a random body, and say so. On it the head still learns something, and the question stays whether the
    heatmap shows what it goes by.
    """
    images = [photo.open() for photo in photos]
    found, each = dict[str, float](), dict[str, float]()
    for name in backbones:
        is_random = find_weights(BACKBONES[name], school.weights) is None
        if is_random:
            write_random(name, school.weights or school.folder, seed)
        trained = school.train(lesson, seed, f"looks-{name}", preset="quick", backbone=name)
        predictor = Predictor.load(trained.folder / "package", "cpu")
        held_out = lesson.of_split("valid")[:TRIED_IMAGES]
        chosen = try_maps(predictor, [Photo(picture.path, None).open() for picture in held_out], seed).method
        shares = try_maps(predictor, images, seed).shares
        suffix = f"{name}{'_random_body' if is_random else ''}"
        found[f"heatmap_beats_random.{suffix}"] = shares[chosen]
        each |= {f"{method}_beats_random.{suffix}": share for method, share in shares.items()}
    return {"heatmap_beats_random": min(found.values()), **found, **each}


def write_random(backbone: str, folder: Path, seed: int) -> None:
    """Put a body of random weights where trainings look for pretrained ones."""
    torch.manual_seed(seed)
    state = {name: tensor.contiguous() for name, tensor in build(backbone, 1).body_state().items()}
    save_file(state, folder / f"{backbone}.safetensors")
