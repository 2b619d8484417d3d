"""Multi-label training on collages, compared with fastai's recipe: same files, split, weights and metric."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from fastai.vision.all import (
    DataBlock,
    ImageBlock,
    IndexSplitter,
    MultiCategoryBlock,
    Normalize,
    Resize,
    aug_transforms,
    imagenet_stats,
    resnet34,
    set_seed,
    vision_learner,
)
from sklearn.metrics import average_precision_score

from bench.mixing.photos import Mixture
from bench.teaching.lessons import Lesson
from bench.teaching.notebook import BATCH_SIZE, EPOCHS
from bench.teaching.ours import School
from training.run import Picture
from tsukiji.labels import join_labels
from tsukiji.types import Split
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.predictor import Predictor


def write(folder: Path, learnt: Sequence[Mixture], held_out: Sequence[Mixture]) -> Lesson:
    """Write collages as files, and return them with their sets of labels."""
    folder.mkdir(parents=True)
    parts: tuple[tuple[Split, Sequence[Mixture]], ...] = (("train", learnt), ("valid", held_out))
    pictures = []
    for split, mixtures in parts:
        for number, mixture in enumerate(mixtures):
            path = folder / f"{split}-{number:04}.jpg"
            mixture.image.save(path, quality=92)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            label = join_labels(mixture.labels)
            pictures.append(Picture(path=path, label=label, split=split, sha256=digest, name=path.name))
    return Lesson("collages", pictures, hashlib.sha256("".join(p.sha256 for p in pictures).encode()).hexdigest())


def measure(lesson: Lesson, school: School, body: dict[str, torch.Tensor], seed: int) -> dict[str, float]:
    """Train both, and return how good they are on the collages of held-out photos, and how much faster ours was."""
    theirs, notebook_seconds = teach(lesson, body, school.image_size, seed)
    trained = school.train(lesson, seed, f"collages-{seed}", preset="quick")
    predictor = Predictor.load(trained.folder / "package", "cpu")
    held_out = lesson.of_split("valid")
    images = [picture.open(DecodeLimits(), school.image_size) for picture in held_out]
    return {
        "multilabel_map": precision(held_out, predictor.predict(images), predictor.label_names),
        "multilabel_map_fastai": precision(held_out, *theirs),
        "multilabel_quick_speedup": notebook_seconds / trained.seconds,
        "multilabel_quick_seconds": trained.seconds,
        "multilabel_fastai_seconds": notebook_seconds,
    }


def precision(pictures: Sequence[Picture], scores: np.ndarray, label_names: Sequence[str]) -> float:
    """Return the mean over the labels of the average precision."""
    truth = np.array([[label in picture.labels for label in label_names] for picture in pictures])
    return float(np.mean([average_precision_score(truth[:, n], scores[:, n]) for n in range(len(label_names))]))


def teach(
    lesson: Lesson, body: dict[str, torch.Tensor], size: int, seed: int
) -> tuple[tuple[np.ndarray, list[str]], float]:
    """Do what fastai's documentation does for several labels: frozen body, ten epochs, default augmentation.

    Returns scores and label names, and the seconds from the loaders to the held-out predictions.
    """
    began = time.perf_counter()
    set_seed(seed, reproducible=True)
    labels = {picture.path: picture.labels for picture in lesson.pictures}
    held_out = [number for number, picture in enumerate(lesson.pictures) if picture.split == "valid"]
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        get_items=lambda _: list(labels),
        get_y=lambda path: labels[Path(path)],
        splitter=IndexSplitter(held_out),
        item_tfms=Resize(size),
        batch_tfms=[*aug_transforms(), Normalize.from_stats(*imagenet_stats)],
    )
    loaders = block.dataloaders(None, bs=min(BATCH_SIZE, len(lesson.of_split("train"))))
    learner = vision_learner(loaders, resnet34, pretrained=False)
    values = iter(body.values())
    learner.model[0].load_state_dict({name: next(values) for name in learner.model[0].state_dict()})
    learner.freeze()
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(EPOCHS)
        scores, _ = learner.get_preds()
    return (scores.numpy(), list(loaders.vocab)), time.perf_counter() - began
