"""The model card: what a stranger must know before using a model. Text only; knows no weights."""

import json
import re
from collections import Counter
from typing import Final

from training.run import Run
from tsukiji.types import Metrics

MIX_UPS: Final = 5

CARD: Final = """---
pipeline_tag: image-classification
tags: [tsukiji, {backbone}]
model_name: {quoted_name}
---
# {name}

Sorts pictures into {classes} kinds: {labels}. Made by Tsukiji, with fastai, from {backbone}.

## How good it is

Of {images} held-out pictures, which it never learnt from, **{accuracy:.1%}** were named rightly
(cross-entropy {loss:.3f}).

| label | precision | recall | F1 | pictures |
|---|---:|---:|---:|---:|
{rows}

{mix_ups}

## What it learnt from

{train} pictures ({train_counts}). Snapshot SHA-256 `{snapshot}`.
First weights: {weights}.

| setting | value |
|---|---|
{recipe}

## What it is not for

It knows the kinds above and nothing else: whatever it is shown, it names one of them. The figures hold for pictures
like those it was measured on; a new camera, place or season wants a new measurement. Its probabilities are the
network's own, not calibrated. No check for fairness was made; do not use it to judge people.

## How to use it

```python
from pathlib import Path
from tsukiji.vision.decode import decode
from tsukiji.vision.predictor import Predictor

predictor = Predictor.load(Path("this-folder"))
picture = decode(Path("picture.jpg").read_bytes(), target_side=predictor.preprocess.size)
probabilities = predictor.predict([picture])[0]  # in the order of predictor.label_names
```

`model.safetensors` holds {backbone} under torchvision's names and the head under `head.`; `preprocess.json` says how
a picture becomes {size} x {size} pixels. There is no pickle in this folder.
"""


def write_card(run: Run, metrics: Metrics, weights_source: str) -> str:
    """Return the card as Markdown with the YAML header that model hubs read."""
    recipe = run.recipe
    learnt = Counter(picture.label for picture in run.images if picture.split == "train")
    return CARD.format(
        name=_plain(run.model_name),
        quoted_name=json.dumps(run.model_name),
        backbone=recipe.backbone,
        classes=len(metrics.label_names),
        labels=", ".join(map(_plain, metrics.label_names)),
        images=metrics.images,
        accuracy=metrics.accuracy,
        loss=metrics.loss,
        rows="\n".join(
            f"| {_plain(row.label)} | {row.precision:.3f} | {row.recall:.3f} | {row.f1:.3f} | {row.support} |"
            for row in metrics.per_class
        ),
        mix_ups=_mix_ups(metrics),
        train=learnt.total(),
        train_counts=", ".join(f"{_plain(label)}: {count}" for label, count in sorted(learnt.items())),
        snapshot=run.snapshot_sha256,
        weights=_plain(weights_source),
        recipe="\n".join(f"| {name} | {value} |" for name, value in recipe.model_dump().items()),
        size=recipe.image_size,
    )


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


def _plain(text: str) -> str:
    """Text that Markdown takes as it is, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(text.split()))
