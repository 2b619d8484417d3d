"""The model card: what to know before using a model. Text only; knows no weights."""

import json
import re
from collections import Counter
from typing import Final

from training.run import Run
from tsukiji.types import Leakage, Metrics
from tsukiji.types.evaluations import MultiLabelMetrics

MIX_UPS: Final = 5
ONE: Final = "Sorts pictures into {classes} kinds"
SETS: Final = "Says which of {classes} kinds are in a picture, one, several or none"

CARD: Final = """---
pipeline_tag: image-classification
tags: [tsukiji, {backbone}]
model_name: {quoted_name}
---
# {name}

{purpose}: {labels}. Made by Tsukiji, with fastai, from {backbone}.

## How good it is

Of {images} held-out pictures, which it never learnt from, **{accuracy:.1%}** {named}{interval}
({loss_name} {loss:.3f}).{leakage}

{table}

{mix_ups}

## What it learnt from

{train} pictures ({train_counts}). Snapshot SHA-256 `{snapshot}`.
First weights: {weights}.

| setting | value |
|---|---|
{recipe}

## What it is not for

The figures hold for pictures like those it was measured on; a new camera, place or season wants a new measurement.
{unknown}
{calibration}
No check for fairness was made; do not use it to judge people.

## How to use it

```python
from pathlib import Path
from tsukiji.vision.decoding.decode import decode
from tsukiji.vision.predictor import Predictor

predictor = Predictor.load(Path("this-folder"))
picture = decode(Path("picture.jpg").read_bytes(), target_side=predictor.preprocess.size)
probabilities = predictor.predict([picture])[0]  # in the order of predictor.label_names
{use}known = predictor.answer([picture]).known_scores[0]  # below {min_known:g}: none of these kinds
```

`model.safetensors` holds {backbone} under its library's names and the head under `head.`; `preprocess.json` says how
a picture becomes {size} x {size} pixels. There is no pickle in this folder. `tsukiji models verify PATH` checks it, and
tries it on the held-out pictures `example-N.png`, whose expected results are in `examples.json`.

Tags (labels of parts of a picture) are weak localisation: the model never saw a box. Its heatmaps are validated on
first use; the result is in the model's record (`heatmap.beats_random`), not here.
"""


def write_card(run: Run, metrics: Metrics, weights_source: str) -> str:
    """Return the card as Markdown with the YAML header that model hubs read."""
    recipe = run.recipe
    learnt = [picture for picture in run.images if picture.split == "train"]
    counts = Counter(label for picture in learnt for label in picture.labels)
    several = metrics.multi_label
    return CARD.format(
        name=_plain(run.model_name),
        quoted_name=json.dumps(run.model_name),
        backbone=recipe.backbone,
        purpose=(SETS if several else ONE).format(classes=len(metrics.label_names)),
        labels=", ".join(map(_plain, metrics.label_names)),
        images=metrics.images,
        accuracy=metrics.accuracy,
        named="got exactly the labels that they have" if several else "were named rightly",
        interval=_interval(metrics),
        loss_name="binary cross-entropy" if several else "cross-entropy",
        loss=metrics.loss,
        leakage=_leakage(run.leakage),
        table=_table(metrics),
        mix_ups=_sets(several) if several else _mix_ups(metrics),
        train=len(learnt),
        train_counts=", ".join(f"{_plain(label)}: {count}" for label, count in sorted(counts.items())),
        use="labels = predictor.labels_of(probabilities)  # may be empty: none of these kinds\n" if several else "",
        snapshot=run.snapshot_sha256,
        weights=_plain(weights_source),
        unknown=_unknown(metrics),
        calibration=_calibration(metrics),
        min_known=metrics.unknown.min_known if metrics.unknown else 0,
        recipe="\n".join(f"| {name} | {value} |" for name, value in recipe.model_dump().items()),
        size=recipe.image_size,
    )


def _table(metrics: Metrics) -> str:
    rows = [
        [_plain(row.label), *map(_figure, (row.precision, row.recall, row.f1)), f"{row.support}"]
        for row in metrics.per_class
    ]
    head = ["label", "precision", "recall", "F1", "pictures"]
    if metrics.multi_label:
        head += ["average precision", "threshold"]
        for row, found in zip(rows, metrics.multi_label.per_label, strict=True):
            row.extend(map(_figure, (found.average_precision, found.threshold)))
    line = "|---" + "|---:" * (len(head) - 1) + "|"
    return "\n".join([_line(head), line, *map(_line, rows)])


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _sets(found: MultiLabelMetrics) -> str:
    text = (
        f"Mean average precision {_figure(found.mean_average_precision)}; F1 of all labels together "
        f"{_figure(found.micro_f1)}, mean of the labels' F1 {_figure(found.macro_f1)}; {found.hamming_loss:.1%} of all "
        "labels are decided wrongly. "
        "A label is said from its threshold on, which was chosen on the held-out pictures; the figures are by "
        "thresholds chosen on others of them."
    )
    if found.empty:
        text += (
            f" {found.empty} of the pictures have none of the labels, and {found.empty_found} of them were so found."
        )
    return text


def _leakage(found: Leakage | None) -> str:
    """Return what is known about near-duplicates on both sides, as a sentence or two."""
    if found is None:
        return ""
    kept = f"{found.near_duplicates} of the pictures have near-duplicates ({found.near_duplicate_groups} groups)"
    if not found.straddling:
        return f" {kept}; none has one on the other side of the split."
    return f" {kept}. Groups on both sides of the split, which make the figures too good: **{found.straddling}**."


def _mix_ups(metrics: Metrics) -> str:
    names = metrics.label_names
    found = sorted(
        (
            (-count, names[i], names[j])
            for i, row in enumerate(metrics.confusion)
            for j, count in enumerate(row)
            if i != j
        )
    )
    worst = [f"- {_plain(true)} taken for {_plain(taken)}: {-count}" for count, true, taken in found[:MIX_UPS] if count]
    return "\n".join(["What it mixes up most:", "", *worst]) if worst else "It mixed up none of them."


def _interval(metrics: Metrics) -> str:
    if metrics.accuracy_interval is None:
        return ""
    low, high = metrics.accuracy_interval
    return f", 95% interval {low:.1%} to {high:.1%}"


def _unknown(metrics: Metrics) -> str:
    rates = metrics.unknown
    if rates is None:
        return "It knows only the labels above, and predicts one of them for any picture."
    text = (
        'It returns "none of these" for pictures unlike its training data: '
        f"{rates.false_rejections:.1%} of held-out pictures of its kinds are rejected by mistake"
    )
    if rates.false_acceptances is not None:
        text += f"; {rates.false_acceptances:.0%} of a kind left out of the statistics are still accepted"
    if rates.given:
        text += f"; of {rates.given.images} pictures of other things, {rates.given.false_acceptances:.0%} are accepted"
    return f"{text}."


def _calibration(metrics: Metrics) -> str:
    found = metrics.calibration
    if found is None:
        return "Its probabilities are the network's own, not calibrated."
    return (
        f"Its probabilities are calibrated (temperature {found.temperature:.2f}): expected calibration error "
        f"{found.ece_before:.3f} before, {found.ece_after:.3f} after."
    )


def _plain(text: str) -> str:
    """Return the text escaped for Markdown, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(text.split()))
