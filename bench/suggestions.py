"""Suggested labels: how soon piles are renewed, and by how few acts a data set is labelled, over the API of a service.

`renewal_seconds`: from the acceptance of a pile (the edit is sent) to renewed piles and a new accuracy, the slowest of
the rounds; `renewal_images` photos, repeated as slight crops and mirror images where the folders hold fewer.
`acts_...`: to labels that are right for 99% of the photos of a folder, with true labels in place of a person: naming a
cluster is 2 acts, accepting a pile 1, taking a picture out 1, labelling a doubtful one 1. `cluster_purity_...`: the
share of the pictures in the first clusters that have their cluster's most frequent label. Seeds change the order of the
photos, on which the clusters depend.
"""

import argparse
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageOps

from bench.report import parse, pictures, show
from tsukiji import Client
from tsukiji.cli.embedded import service
from tsukiji.client import Dataset
from tsukiji.kernel import log
from tsukiji.kernel.settings import LogSettings
from tsukiji.types.suggestions import DOUBTFUL

RIGHT: Final = 0.99
NAMED: Final = 2
"""Clusters that are named of each label; one with more than `WRONG` strangers is left."""
WRONG: Final = 2
AT_ONCE: Final = 6
"""Doubtful pictures that are labelled before the next round."""
MOST_ROUNDS: Final = 50
BACKBONE: Final = "efficientnet_lite0"


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--images", type=int, default=2000, help="photos whose piles are renewed")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    if options.quick:
        options.images, options.seeds = 100, 1
    log.configure(LogSettings(level="warning"), "suggestions")
    with tempfile.TemporaryDirectory(prefix="tsukiji-suggestions-") as scratch:
        figures = measure(options, Path(scratch))
    show("suggested labels", figures, as_json=options.json)


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    figures: dict[str, Any] = {"seeds": list(range(options.seeds))}
    (scratch / "service").mkdir()
    with service(scratch / "service") as client:
        for folder in options.data or [None]:
            photos = pictures([folder] if folder else [], 400, scratch / "photos")
            runs = [label_all(client, photos, seed, scratch) for seed in figures["seeds"]]
            name = folder.name if folder else "made_up"
            figures[f"acts_{name}"] = max(run["acts"] for run in runs)
            figures[f"cluster_purity_{name}"] = min(run["purity"] for run in runs)
            figures[f"runs_{name}"] = runs
        photos = pictures(options.data, options.images, scratch / "photos")
        figures |= renew(client, photos, options.images, scratch)
    return {**figures, "cpu_count": os.cpu_count()}


# --- a person with true labels ---------------------------------------------------------------------------------------


def label_all(client: Client, photos: list[Path], seed: int, scratch: Path) -> dict[str, Any]:
    """Label photos as a person would who makes no mistakes; returns acts, rounds and the purity of the clusters."""
    folder = scratch / f"labelling-{photos[0].parent.parent.name}-{seed}"
    folder.mkdir()
    photos = random.Random(seed).sample(photos, len(photos))
    truth = {f"{number:05}.jpg": photo.parent.name for number, photo in enumerate(photos)}
    for name, photo in zip(truth, photos, strict=True):
        (folder / name).symlink_to(photo.resolve())
    dataset = send(client, folder)
    acts, purity = name_clusters(dataset, truth)
    rounds = 1
    while right(dataset, truth) < RIGHT and rounds < MOST_ROUNDS:
        suggest(dataset)
        rounds += 1
        acts += accept_piles(dataset, truth)
        for image in list(dataset.suggested(DOUBTFUL))[:AT_ONCE]:
            dataset.relabel(truth[image.name], images=[image.image_id])
            acts += 1
    return {"acts": acts, "rounds": rounds, "right": right(dataset, truth), "purity": purity}


def name_clusters(dataset: Dataset, truth: dict[str, str]) -> tuple[int, float]:
    """Name the first clusters of each label; returns the acts, and the purity of all clusters."""
    acts, named, same, images = 0, Counter[str](), 0, 0
    for pile in suggest(dataset).piles:
        if pile.pile == DOUBTFUL:
            continue
        found = list(dataset.suggested(pile.pile))
        (label, count), *_ = Counter(truth[image.name] for image in found).most_common(1)
        same, images = same + count, images + len(found)
        wrong = [image.image_id for image in found if truth[image.name] != label]
        if named[label] < NAMED and len(wrong) <= WRONG:
            named[label] += 1
            acts += 2 + len(wrong)
            dataset.relabel(label, pile=pile.pile, except_for=wrong)
    return acts, same / max(images, 1)


def accept_piles(dataset: Dataset, truth: dict[str, str]) -> int:
    acts = 0
    for pile in (dataset.suggestions() or suggest(dataset)).piles:
        if pile.label is None or pile.images < 2:
            continue
        found = list(dataset.suggested(pile.pile))
        wrong = [image.image_id for image in found if truth[image.name] != pile.label]
        dataset.relabel(pile.label, pile=pile.pile, except_for=wrong)
        acts += 1 + len(wrong)
    return acts


def right(dataset: Dataset, truth: dict[str, str]) -> float:
    return sum(truth[image.name] == image.label for image in dataset.pictures()) / len(truth)


# --- the time of a round ---------------------------------------------------------------------------------------------


def renew(client: Client, photos: list[Path], count: int, scratch: Path) -> dict[str, Any]:
    """Return the time from the acceptance of a pile to renewed piles, its edit included."""
    folder = scratch / "renewal"
    folder.mkdir()
    truth = {}
    for number in range(count):
        photo, turn = photos[number % len(photos)], number // len(photos)
        name = f"{number:05}.jpg"
        truth[name] = photo.parent.name
        with Image.open(photo) as picture:
            varied(picture.convert("RGB"), turn).save(folder / name, quality=90)
    dataset = send(client, folder)
    begun = time.perf_counter()
    suggest(dataset)
    first = time.perf_counter() - begun
    name_clusters(dataset, truth)
    seconds = []
    for pile in suggest(dataset).piles:
        if pile.label is None:
            continue
        begun = time.perf_counter()
        dataset.relabel(pile.label, pile=pile.pile)
        found = suggest(dataset)
        seconds.append(time.perf_counter() - begun)
    return {
        "renewal_images": count,
        "renewal_seconds": max(seconds),
        "renewal_runs": seconds,
        "renewal_accuracy": found.accuracy,
        "first_round_seconds": first,
    }


def varied(picture: Image.Image, turn: int) -> Image.Image:
    """Return the picture itself, then its mirror image, then the same of slight crops."""
    margin = turn // 2 * 4
    width, height = picture.size
    cropped = picture.crop((margin, margin, width - margin, height - margin))
    return ImageOps.mirror(cropped) if turn % 2 else cropped


# --- the service -----------------------------------------------------------------------------------------------------


def send(client: Client, folder: Path) -> Dataset:
    dataset = client.datasets.create(folder.name)
    dataset.upload(folder)
    return dataset


def suggest(dataset: Dataset) -> Any:
    dataset.suggest(backbone=BACKBONE).wait().raise_for_status()
    found = dataset.suggestions()
    if found is None:
        raise RuntimeError("a finished round shows nothing")
    return found


if __name__ == "__main__":
    main()
