"""A snapshot: the frozen, content-hashed list of images that one training sees. Knows no pixels and no database."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Any, Final

from tsukiji.errors import DatasetTooSmall, Invalid
from tsukiji.types import Split

FEW_IMAGES: Final = 50
IMBALANCE: Final = 2.0


@dataclass(frozen=True, slots=True)
class SnapshotItem:
    """One labelled image; `split` is None until somebody decides it."""

    image_id: str
    sha256: str
    name: str
    label: str
    split: Split | None = None


def assign_splits(items: Iterable[SnapshotItem], *, valid_fraction: float, seed: int) -> list[SnapshotItem]:
    """Give every item without a split one, `train` or `valid`, and return all items in their order.

    `valid_fraction` of each label's undecided items is held out: those whose hash of seed and content comes first, so
    that the same pictures are held out again when a data set is trained anew, and few change sides when it grows. Every
    label with two or more items gets at least one of each. A split that is given stays. Where every label has `valid`
    items already, the user has chosen the validation set: all undecided items become `train`.
    """
    items = list(items)
    by_label: dict[str, list[SnapshotItem]] = defaultdict(list)
    for item in items:
        by_label[item.label].append(item)
    if all(any(item.split == "valid" for item in group) for group in by_label.values()):
        valid_fraction = 0.0
    held_out = {item for group in by_label.values() for item in _held_out(group, valid_fraction, seed)}
    return [item if item.split else replace(item, split="valid" if item in held_out else "train") for item in items]


def dumps(items: Iterable[SnapshotItem]) -> bytes:
    """Return the canonical form, JSON lines sorted by content; its SHA-256 is the snapshot's hash."""
    ordered = sorted(items, key=lambda item: (item.sha256, item.image_id))
    lines = (json.dumps(asdict(item), sort_keys=True, separators=(",", ":")) + "\n" for item in ordered)
    return "".join(lines).encode()


def loads(data: bytes) -> list[SnapshotItem]:
    """Read what `dumps` wrote.

    Raises:
        Invalid: the bytes are no snapshot.
    """
    try:
        return [SnapshotItem(**json.loads(line)) for line in data.splitlines()]
    except (TypeError, ValueError) as error:
        raise Invalid(f"These bytes are not a snapshot: {error}.") from error


def check_trainable(items: Sequence[SnapshotItem], min_images: int) -> list[dict[str, Any]]:
    """Return what a person should know before training on these items (`code`, `detail`); `test` items do not count.

    Raises:
        DatasetTooSmall: fewer than two labels, a label with fewer than `min_images` or none to learn from, or nothing
            held out; `labels` in its extra members lists the images of each label.
    """
    used = [item for item in items if item.split != "test"]
    counts = Counter(item.label for item in used)
    facts = [{"label": label, "images": count, "needed": min_images} for label, count in sorted(counts.items())]
    if problem := _problem(used, counts, min_images):
        raise DatasetTooSmall(problem, labels=facts)
    return [*_imbalance(counts), *_few(counts)]


def _held_out(group: Sequence[SnapshotItem], valid_fraction: float, seed: int) -> list[SnapshotItem]:
    undecided = sorted(
        (item for item in group if item.split is None), key=lambda item: (_rank(item, seed), item.image_id)
    )
    given = Counter(item.split for item in group)
    least = 0 if given["valid"] else 1
    most = len(undecided) - (0 if given["train"] else 1)
    count = max(0, min(most, max(least, int(len(undecided) * valid_fraction + 0.5))))
    return undecided[:count]


def _rank(item: SnapshotItem, seed: int) -> bytes:
    return blake2b(f"{seed}:{item.sha256}".encode(), digest_size=16).digest()


def _problem(used: Sequence[SnapshotItem], counts: Counter[str], min_images: int) -> str | None:
    if len(counts) < 2:
        return f"A classifier needs at least two labels; there is {len(counts)}."
    if small := [f"{label} ({count})" for label, count in sorted(counts.items()) if count < min_images]:
        return f"Each label needs at least {min_images} images; too few have: {_listed(small)}."
    learnt = {item.label for item in used if item.split != "valid"}
    if unlearnt := sorted(counts.keys() - learnt):
        return f"All images of these labels are held out, none is left to learn from: {_listed(unlearnt)}."
    if all(item.split == "train" for item in used):
        return "Every image has the split train; none is left to measure the model with."
    return None


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


def _listed(names: Sequence[str], limit: int = 10) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
