"""Checks before a training starts: why it cannot run, and warnings."""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tsukiji.curation.snapshots import SnapshotItem
from tsukiji.curation.splits import Draw
from tsukiji.errors import DatasetTooSmall
from tsukiji.labels import is_set, look_alikes
from tsukiji.types import Split

FEW_IMAGES: Final = 50
IMBALANCE: Final = 2.0


def check_trainable(draw: Draw, min_images: int, dataset: str = "DATASET") -> list[dict[str, Any]]:
    """Return warnings (`code`, `detail`) about training on these items; `test` items do not count.

    An image with several labels counts for each.

    Args:
        draw: the labelled images.
        min_images: required for each label.
        dataset: its name, for the commands in hints.

    Raises:
        DatasetTooSmall: fewer than two labels (for multi-label: one, without images that lack it), a label with fewer
            than `min_images` or without training images, or nothing held out; `labels` in its extra members has the
            number of images of each label.
    """
    used, counts = _check(draw, min_images, dataset)
    return [*_held_out(draw, used, counts, dataset), *_of_counts(used, counts), *_leaks(draw), *_unseen(draw)]


def check_counts(
    counted: Iterable[tuple[str, Split | None, int]], min_images: int, dataset: str = "DATASET"
) -> list[dict[str, Any]]:
    """Do the checks of `check_trainable` that need no splits; returns and raises the same.

    Args:
        counted: number of images with each label (or set) and split set by the user.
        min_images: required for each label.
        dataset: its name, for the commands in hints.

    Raises:
        DatasetTooSmall: as `check_trainable`.
    """
    groups = list(counted)
    # If nothing is set as valid, part of the split train may be held out too (`tsukiji.curation.splits`).
    is_open = all(split != "valid" for _, split, _ in groups)
    items: list[SnapshotItem] = []
    for label, split, images in groups:
        item = SnapshotItem("", "", "", label, None if is_open and split == "train" else split)
        items += [item] * images
    used, counts = _check(Draw(items), min_images, dataset)
    return _of_counts(used, counts)


def _check(draw: Draw, min_images: int, dataset: str) -> tuple[list[SnapshotItem], Counter[str]]:
    """Return the items outside `test`, and the number of images of each label, or raise DatasetTooSmall."""
    used = [item for item in draw.items if item.split != "test"]
    counts = Counter(label for item in used for label in item.labels)
    if refusal := _Checked(draw, used, counts, min_images, dataset).refusal():
        problem, hint = refusal
        facts = [{"label": label, "images": count, "needed": min_images} for label, count in sorted(counts.items())]
        raise DatasetTooSmall(problem, hint=hint, labels=facts)
    return used, counts


def _of_counts(used: Sequence[SnapshotItem], counts: Counter[str]) -> list[dict[str, Any]]:
    return [*_imbalance(counts), *_few(counts), *look_alikes(counts, counts), *_everywhere(used, counts)]


@dataclass(frozen=True)
class _Checked:
    """Images to train on; each method returns a problem and a hint, or None."""

    draw: Draw
    used: Sequence[SnapshotItem]
    counts: Counter[str]
    min_images: int
    dataset: str

    def refusal(self) -> tuple[str, str] | None:
        return self._too_few_labels() or self._small() or self._cramped() or self._unlearnt() or self._unmeasured()

    def _too_few_labels(self) -> tuple[str, str] | None:
        """Return what is missing: two labels, or for multi-label one that some images have and some lack."""
        are_sets = any(is_set(item.label) for item in self.used)
        command = _fix(self.dataset, "--image", "ID", "--relabel", "LABEL")
        if not self.counts:
            problem = (
                "No image has a label." if are_sets else "A classifier needs at least two labels; no image has one."
            )
            return problem, self._more(f"Add labelled images, or label existing ones: {command}")
        if not are_sets and len(self.counts) < 2:
            problem = "A classifier needs at least two labels; there is one."
            return problem, self._more(f"Add images with another label, or relabel existing ones: {command}")
        if not are_sets:
            return None
        (label, images), lacking = self.counts.most_common(1)[0], len(self.used) - max(self.counts.values())
        if len(self.counts) > 1 or lacking >= self.min_images:
            return None
        problem = (
            f"With one label, {label} ({images}), at least {self.min_images} images must be marked as showing none of "
            f"the labels; there are {lacking}."
        )
        command = _fix(self.dataset, "--unlabelled", "--relabel-none")
        return problem, f"Add such images; {command} marks the unlabelled ones so."

    def _small(self) -> tuple[str, str] | None:
        small = [label for label, count in sorted(self.counts.items()) if count < self.min_images]
        if not small:
            return None
        listed = _listed([f"{label} ({self.counts[label]})" for label in small])
        problem = f"Each label needs at least {self.min_images} images; too few have: {listed}."
        return problem, self._more("Add images with them", leave_out=small)

    def _cramped(self) -> tuple[str, str] | None:
        if not self.draw.cramped:
            return None
        problem = (
            "Images that look the same, or are in one group, must be on one side of the split, so these labels cannot "
            f"be both trained on and held out: {_listed(self.draw.cramped)}."
        )
        label = self.draw.cramped[0]
        learnt = _fix(self.dataset, "--label", label, "--set-split", "train")
        held_out = _fix(self.dataset, "--image", "ID", "--set-split", "valid")
        ways = f"Add other images with them{self._leaving_out(self.draw.cramped)}"
        return problem, f"{ways}; or set the splits yourself, label by label: {learnt}, then {held_out} for some."

    def _unlearnt(self) -> tuple[str, str] | None:
        learnt = {label for item in self.used if item.split != "valid" for label in item.labels}
        labels = sorted(self.counts.keys() - learnt)
        if not labels:
            return None
        problem = f"All images with these labels are held out, and none is left to train on: {_listed(labels)}."
        commands = [_fix(self.dataset, "--label", label, "--set-split", "none") for label in labels]
        return problem, f"Let the training assign their splits: {_listed(commands)}."

    def _unmeasured(self) -> tuple[str, str] | None:
        if any(item.split != "train" for item in self.used):
            return None
        problem = "Every image has the split train, and none is left to evaluate the model on."
        command = _fix(self.dataset, "--image", "ID", "--set-split", "valid")
        return problem, f"Add images, or assign some of each label to valid: {command}."

    def _more(self, first: str, leave_out: Sequence[str] = ()) -> str:
        """Return a hint to add images, with alternatives."""
        ways = f"{first}{self._leaving_out(leave_out)}"
        tested = Counter(label for item in self.draw.items if item.split == "test" for label in item.labels)
        together = self.counts + tested
        if tested and len(together) > 1 and min(together.values()) >= self.min_images:
            command = _fix(self.dataset, "--split", "test", "--set-split", "none")
            ways += f"; or also train on the split test: {command}"
        return f"{ways}."

    def _leaving_out(self, labels: Sequence[str]) -> str:
        """Return how to train without these labels, if enough others are left."""
        if not labels or len(self.counts.keys() - set(labels)) < 2:
            return ""
        commands = [_fix(self.dataset, "--delete-label", label) for label in labels]
        return f", or train without them: {_listed(commands)} (their images stay, unlabelled)"


def _fix(dataset: str, *options: str) -> str:
    return f"`tsukiji datasets fix {shlex.join([dataset, *options])}`"


def _held_out(draw: Draw, used: Sequence[SnapshotItem], counts: Counter[str], dataset: str) -> list[dict[str, Any]]:
    warnings: list[dict[str, Any]] = []
    if draw.taken:
        detail = (
            f"No image has the split valid, so some of the split train are held out, with the labels "
            f"{_listed(draw.taken)}; the split test is not changed."
        )
        warnings.append({"code": "valid_from_train", "detail": detail})
    measured = {label for item in used if item.split != "train" for label in item.labels}
    if missing := sorted(counts.keys() - measured):
        commands = [_fix(dataset, "--label", label, "--set-split", "none") for label in missing]
        detail = (
            "No images with these labels are held out, so their figures will be unknown, and the accuracy covers only "
            f"the others: {_listed(missing)}. To let the training hold out some: {_listed(commands)}."
        )
        warnings.append({"code": "nothing_held_out", "detail": detail, "labels": missing})
    return warnings


def _everywhere(used: Sequence[SnapshotItem], counts: Counter[str]) -> list[dict[str, Any]]:
    """Warn of labels that every image has: a model cannot learn their absence."""
    names = sorted(label for label, count in counts.items() if count == len(used))
    if not names:
        return []
    detail = f"Every image has these labels, so the model will predict them for anything: {_listed(names)}."
    return [{"code": "label_everywhere", "detail": detail}]


def _imbalance(counts: Counter[str]) -> list[dict[str, Any]]:
    (most, high), (least, low) = counts.most_common()[0], counts.most_common()[-1]
    if high <= IMBALANCE * low:
        return []
    detail = f"{most} has {high} images, {least} only {low}: the model will favour {most}."
    return [{"code": "imbalanced", "detail": detail}]


def _few(counts: Counter[str]) -> list[dict[str, Any]]:
    few = [f"{label} ({count})" for label, count in sorted(counts.items()) if count < FEW_IMAGES]
    if not few:
        return []
    return [{"code": "few_images", "detail": f"Labels with fewer than {FEW_IMAGES} images: {_listed(few)}."}]


def _leaks(draw: Draw) -> list[dict[str, Any]]:
    facts, warnings = draw.leakage, []
    if draw.straddling_near:
        detail = (
            f"{_many(draw.straddling_near, 'group')} of images that look the same, of {facts.near_duplicate_groups}, "
            "are on both sides of the split, because they were assigned so: the figures will be too good."
        )
        warnings.append({"code": "leakage_found", "detail": detail, "leakage": facts.model_dump()})
    if kept := facts.near_duplicate_groups - draw.straddling_near:
        detail = (
            f"{_many(kept, 'group')} of images that look the same, each kept on one side of the split; "
            f"{_many(facts.moved, 'image')} changed sides for that, or for one of your groups."
        )
        warnings.append({"code": "leakage_avoided", "detail": detail, "leakage": facts.model_dump()})
    if names := draw.straddling_groups:
        detail = f"Your groups that are on both sides of the split, because you assigned them so: {_listed(names)}."
        warnings.append({"code": "group_straddles", "detail": detail})
    return warnings


def _unseen(draw: Draw) -> list[dict[str, Any]]:
    warnings = []
    if draw.broad:
        detail = (
            "Most images with these labels look alike, so only closer matches count as near-duplicates: "
            f"{_listed(draw.broad)}. If some belong together (one film, one animal), give them a group."
        )
        warnings.append({"code": "near_duplicates_unclear", "detail": detail})
    if unhashed := sum(item.phash is None for item in draw.items):
        detail = (
            f"{_many(unhashed, 'image')} added before near-duplicates were detected: not compared; "
            "delete and send them again to compare them."
        )
        warnings.append({"code": "unhashed_images", "detail": detail})
    return warnings


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _listed(names: Sequence[str], limit: int = 10) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
