"""Trainings: the three presets beside a plain fastai notebook, on the same pictures, split and weights, in one run.

For each data set and seed, in turns: the notebook (ten epochs, frozen body, default augmentation), `quick` with nothing
kept, `quick` again after 5% of the labels changed, `standard` and `thorough`. Ours are whole trainings, with events,
checkpoints, evaluation, package and suspected labels; the notebook's time ends with its accuracy. Figures are medians
of ratios and of seconds, and means of accuracies, of shares and of calibration errors, per data set and over all.

`quick_speedup`, `standard_time_ratio` (ours / notebook, below 1 is faster), `quick_accuracy_gap`,
`standard_accuracy_gap` (ours less notebook), `quick_retrain_seconds`, `thorough_accuracy_gain` (over `standard`),
`ece_before`, `ece_after` (means over the presets), `unknown_auroc` and `known_kept` (of `quick`; known pictures kept by
the default threshold, cross-fitted), `label_error_recall` (of labels flipped at random, 10% of all, the part among the
first 10% of the list), `onnx_top1_agreement`, `onnx_max_difference` (on the validation split; worst of the data sets).
"""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.report import parse, show, weights_folder
from bench.teaching import lessons, notebook
from bench.teaching.lessons import Lesson
from bench.teaching.ours import School, Trained
from training.digits import write_digits
from training.run import Picture
from tsukiji.vision.backbones import backbone_of, find_weights
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.onnx import export_onnx
from tsukiji.vision.weights import load_backbone_weights

MEDIANS: Final = ("quick_speedup", "quick_retrain_seconds", "standard_time_ratio")
WORST: Final = {"onnx_top1_agreement": min, "onnx_max_difference": max}
RELABELLED: Final = 0.05
FLIPPED: Final = 0.1
FULL_SIDE: Final = 4096
"""No picture is decoded smaller than it is."""

Row = dict[str, float]


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--unknown", type=Path, help="folder of pictures of other things")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--backbone", default="resnet34", help="whose weights are in --weights, or in a package")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--only-quick", action="store_true", help="leave out `standard` and `thorough`")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.only_quick = 1, True
    with tempfile.TemporaryDirectory() as scratch:
        weights = weights_folder(options.weights, Path(scratch) / "weights")
        if find_weights(backbone_of(options.backbone), weights) is None:
            raise SystemExit("Give --weights: without pretrained weights there is no frozen body to compare.")
        folders = options.data or [made_up(Path(scratch) / "digits")]
        school = School(
            Path(scratch),
            weights,
            lessons.others(options.unknown) if options.unknown else (),
            options.image_size,
            backbone=options.backbone,
        )
        figures = measure(folders, school, options.seeds, slow=not options.only_quick)
    show("trainings", figures, as_json=options.json)


def made_up(folder: Path) -> Path:
    """Write the digits of scikit-learn, for who has no pictures."""
    write_digits(folder)
    return folder


def measure(folders: Sequence[Path], school: School, seeds: int, *, slow: bool) -> dict[str, Any]:
    rows = {folder.name: lesson_rows(folder, school, seeds, slow=slow) for folder in folders}
    each = {name: summary(found) for name, found in rows.items()}
    means = summary([row for found in rows.values() for row in found])
    return means | {f"{name}.{key}": value for name, found in each.items() for key, value in found.items()}


def lesson_rows(folder: Path, school: School, seeds: int, *, slow: bool) -> list[Row]:
    seen = lessons.look(folder)
    body, _ = load_backbone_weights(school.backbone, folder=school.weights, download=False)
    rows = []
    for seed in range(seeds):
        lesson = lessons.split(folder.name, seen, seed)
        peer = notebook.teach(lesson, backbone_of(school.backbone), body, school.image_size, seed)
        row = teach(lesson, school, seed, peer, slow=slow)
        rows.append(row)
        show(f"{folder.name}, seed {seed}", row, as_json=False)
    return rows


def teach(lesson: Lesson, school: School, seed: int, peer: notebook.Taught, *, slow: bool) -> Row:
    kept = f"{lesson.name}-{seed}"
    quick = school.train(lesson, seed, kept, preset="quick")
    metrics = quick.report.metrics
    row = {
        "notebook_seconds": peer.seconds,
        "notebook_accuracy": peer.accuracy,
        "quick_seconds": quick.seconds,
        "quick_accuracy": quick.accuracy,
        "quick_speedup": peer.seconds / quick.seconds,
        "quick_accuracy_gap": quick.accuracy - peer.accuracy,
        **onnx_figures(quick, lesson, school.folder / "model.onnx"),
    }
    if metrics.unknown and metrics.unknown.given:
        row["unknown_auroc"] = metrics.unknown.given.auroc
        row["known_kept"] = 1 - metrics.unknown.false_rejections
    calibrations = [metrics.calibration]
    again = school.train(relabelled(lesson, RELABELLED, seed)[0], seed, kept, preset="quick")
    row["quick_retrain_seconds"] = again.seconds
    row["label_error_recall"] = label_error_recall(lesson, school, seed, kept)
    if slow:
        standard = school.train(lesson, seed, kept)
        thorough = school.train(lesson, seed, kept, preset="thorough")
        row |= {
            "standard_seconds": standard.seconds,
            "standard_accuracy": standard.accuracy,
            "standard_time_ratio": standard.seconds / peer.seconds,
            "standard_accuracy_gap": standard.accuracy - peer.accuracy,
            "thorough_seconds": thorough.seconds,
            "thorough_accuracy": thorough.accuracy,
            "thorough_accuracy_gain": thorough.accuracy - standard.accuracy,
        }
        calibrations += [standard.report.metrics.calibration, thorough.report.metrics.calibration]
    known = [found for found in calibrations if found]
    row["ece_before"] = statistics.mean(found.ece_before for found in known)
    row["ece_after"] = statistics.mean(found.ece_after for found in known)
    school.forget(kept)
    return row


def relabelled(lesson: Lesson, share: float, seed: int) -> tuple[Lesson, set[int]]:
    """Return the lesson with another label on this share of its pictures, and which they are."""
    random = np.random.default_rng(seed)
    chosen = set(random.choice(len(lesson.pictures), round(share * len(lesson.pictures)), replace=False).tolist())
    names = sorted({picture.label for picture in lesson.pictures})
    changed = [
        picture.model_copy(update={"label": other(picture, names, random)}) if number in chosen else picture
        for number, picture in enumerate(lesson.pictures)
    ]
    return Lesson(lesson.name, changed, f"{seed:064x}"), chosen


def other(picture: Picture, names: Sequence[str], random: np.random.Generator) -> str:
    return str(random.choice([name for name in names if name != picture.label]))


def label_error_recall(lesson: Lesson, school: School, seed: int, kept: str) -> float:
    wrong, flipped = relabelled(lesson, FLIPPED, seed + 1000)
    suspects = school.train(wrong, seed, kept, preset="quick").report.suspects
    return len({suspect.index for suspect in suspects[: len(flipped)]} & flipped) / len(flipped)


def onnx_figures(trained: Trained, lesson: Lesson, target: Path) -> Row:
    """Export the package, compared on all held-out pictures."""
    images = [picture.open(DecodeLimits(), FULL_SIDE) for picture in lesson.of_split("valid")]
    facts = export_onnx(trained.folder / "package", target, images)
    return {"onnx_top1_agreement": facts["top1_agreement"], "onnx_max_difference": facts["max_difference"]}


def summary(rows: Sequence[Row]) -> Row:
    found: Row = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if name in row]
        if name in WORST:
            found[name] = WORST[name](values)
        elif name in MEDIANS or name.endswith("_seconds"):
            found[name] = statistics.median(values)
        else:
            found[name] = statistics.mean(values)
    return found


if __name__ == "__main__":
    main()
