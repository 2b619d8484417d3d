"""What is known about a training before any time is spent on it: why it cannot start, and what a person should know."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from tsukiji.errors import DatasetTooSmall
from tsukiji.labels import is_set
from tsukiji.snapshots import SnapshotItem
from tsukiji.splits import Draw

FEW_IMAGES: Final = 50
IMBALANCE: Final = 2.0


def check_trainable(draw: Draw, min_images: int) -> list[dict[str, Any]]:
    """Return what a person should know before training on these items (`code`, `detail`); `test` items do not count.

    An image of several labels counts for each.

    Raises:
        DatasetTooSmall: fewer than two labels (of sets: one, and nothing that lacks it), a label with fewer than
            `min_images` or none to learn from, or nothing held out; `labels` in its extra members lists the images of
            each label.
    """
    used = [item for item in draw.items if item.split != "test"]
    counts = Counter(label for item in used for label in item.labels)
    facts = [{"label": label, "images": count, "needed": min_images} for label, count in sorted(counts.items())]
    if problem := _problem(used, counts, draw.cramped, min_images):
        raise DatasetTooSmall(problem, labels=facts)
    return [*_imbalance(counts), *_few(counts), *_everywhere(used, counts), *_leaks(draw), *_unseen(draw)]


def _problem(used: Sequence[SnapshotItem], counts: Counter[str], cramped: Sequence[str], min_images: int) -> str | None:
    if problem := _too_few_labels(used, counts, min_images):
        return problem
    if small := [f"{label} ({count})" for label, count in sorted(counts.items()) if count < min_images]:
        return f"Each label needs at least {min_images} images; too few have: {_listed(small)}."
    if cramped:
        return (
            f"Images that look the same, or are of one group, stand on one side of the split; so these labels cannot "
            f"be both learnt from and held out: {_listed(cramped)}. Add other images, or set some splits yourself."
        )
    learnt = {label for item in used if item.split != "valid" for label in item.labels}
    if unlearnt := sorted(counts.keys() - learnt):
        return f"All images of these labels are held out, none is left to learn from: {_listed(unlearnt)}."
    if all(item.split == "train" for item in used):
        return "Every image has the split train; none is left to measure the model with."
    return None


def _too_few_labels(used: Sequence[SnapshotItem], counts: Counter[str], min_images: int) -> str | None:
    """Say what is missing to tell anything apart: two labels, or in sets of labels one that is there or is not."""
    if not any(is_set(item.label) for item in used):
        found = "there is one" if counts else "no image has one"
        return f"A classifier needs at least two labels; {found}." if len(counts) < 2 else None
    if not counts:
        return "No image has a label."
    (label, images), lacking = counts.most_common(1)[0], len(used) - max(counts.values())
    if len(counts) > 1 or lacking >= min_images:
        return None
    return (
        f"With one label, {label} ({images}), at least {min_images} images must be without it, labelled as showing "
        f"none of the kinds; there are {lacking}."
    )


def _everywhere(used: Sequence[SnapshotItem], counts: Counter[str]) -> list[dict[str, Any]]:
    """Warn of labels that every image has: what they look like where they are missing nobody can learn."""
    names = sorted(label for label, count in counts.items() if count == len(used))
    if not names:
        return []
    detail = f"Every image has these labels, so a model says them of anything: {_listed(names)}."
    return [{"code": "label_everywhere", "detail": detail}]


def _imbalance(counts: Counter[str]) -> list[dict[str, Any]]:
    (most, high), (least, low) = counts.most_common()[0], counts.most_common()[-1]
    if high <= IMBALANCE * low:
        return []
    detail = f"{most} has {high} images, {least} only {low}: the model will lean towards {most}."
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
            f"stand on both sides, because their splits were set so: the model will look better than it is."
        )
        warnings.append({"code": "leakage_found", "detail": detail, "leakage": facts.model_dump()})
    if kept := facts.near_duplicate_groups - draw.straddling_near:
        detail = (
            f"{_many(kept, 'group')} of images that look the same, kept on one side of the split each; "
            f"{_many(facts.moved, 'image')} changed sides for that, or for a group of yours."
        )
        warnings.append({"code": "leakage_avoided", "detail": detail, "leakage": facts.model_dump()})
    if names := draw.straddling_groups:
        detail = f"Groups of yours that stand on both sides, because you set their splits so: {_listed(names)}."
        warnings.append({"code": "group_straddles", "detail": detail})
    return warnings


def _unseen(draw: Draw) -> list[dict[str, Any]]:
    warnings = []
    if draw.broad:
        detail = (
            f"Most images of these labels look the same at a glance, so only closer ones count as near-duplicates: "
            f"{_listed(draw.broad)}. If you know which belong together (one film, one animal), give them a group."
        )
        warnings.append({"code": "near_duplicates_unclear", "detail": detail})
    if unhashed := sum(item.phash is None for item in draw.items):
        detail = (
            f"{_many(unhashed, 'image')} came before near-duplicates were looked for, and were not compared; "
            f"delete and send them again to have them compared."
        )
        warnings.append({"code": "unhashed_images", "detail": detail})
    return warnings


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _listed(names: Sequence[str], limit: int = 10) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
