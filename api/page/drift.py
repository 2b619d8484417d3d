"""A model's batches over time, and one of them beside the held-out pictures."""

from collections.abc import Sequence
from typing import Any, Final

from markupsafe import Markup

from api.page.charts import Line, line_chart
from api.page.rendering import percent
from api.serialize.drift import batch_drift, distribution
from db.jobs import drift
from db.models import Model
from db.paging import Window
from db.session import Session
from tsukiji.types import BatchDrift, PictureDistribution

BATCHES: Final = 30
LABELS: Final = 8


def describe_drift(session: Session, model: Model) -> dict[str, Any] | None:
    """Return the newest batches; None if there are none. `beside` compares the newest with the held-out pictures."""
    held_out = drift.held_out_of(session, model.id)
    rows = drift.page(session, model.id, Window(BATCHES)).data
    batches = [batch_drift(row, model.label_names, held_out) for row in rows]
    if not batches:
        return None
    usual = held_out and distribution(held_out.distribution, model.label_names)
    return {
        "batches": batches,
        "chart": draw_shares(batches),
        "beside": usual and compare(next((each for each in batches if each.images), None), usual),
    }


def draw_shares(batches: Sequence[BatchDrift]) -> Markup | None:
    """Return the fraction of strange pictures over the batches, oldest first; None if fewer than two were tested."""
    tested = [each for each in reversed(batches) if each.strange is not None and each.images]
    if len(tested) < 2:
        return None
    shares = [(at, (each.strange or 0) / each.images) for at, each in enumerate(tested, 1)]
    expected = [(at, (each.expected or 0) / each.images) for at, each in enumerate(tested, 1)]
    lines = [Line("strange", shares), Line("expected", expected, dots=False)]
    return line_chart(
        lines,
        title="Strange pictures of each batch",
        x_name="batch",
        x_counts=True,
        y_text=percent,
        y_most=1.0,
        height=180,
    )


def compare(batch: BatchDrift | None, usual: PictureDistribution) -> dict[str, Any] | None:
    if batch is None:
        return None
    return {
        "batch": batch,
        "labels": label_shares(batch.pictures, usual),
        "charts": [
            (name, draw_histograms(name, here, there))
            for name, here, there in (
                ("probability of the label", batch.pictures.scores, usual.scores),
                ("known score", batch.pictures.known_scores, usual.known_scores),
            )
            if sum(here) and sum(there)
        ],
    }


def label_shares(found: PictureDistribution, usual: PictureDistribution) -> list[tuple[str, float, float]]:
    """Return (label, fraction here, fraction among the held-out pictures), most frequent first."""
    names = sorted({*found.labels, *usual.labels}, key=lambda name: (-found.labels.get(name, 0), name))
    rest = names[LABELS:]
    rows = [(name, [name]) for name in names[:LABELS]] + ([(f"{len(rest)} others", rest)] if rest else [])
    return [(text, share(found, labels), share(usual, labels)) for text, labels in rows]


def share(found: PictureDistribution, labels: Sequence[str]) -> float:
    return sum(found.labels.get(label, 0) for label in labels) / max(1, found.images)


def draw_histograms(name: str, here: Sequence[int], there: Sequence[int]) -> Markup:
    lines = [Line("batch", fractions(here), dots=False), Line("held out", fractions(there), dots=False)]
    top = max(y for line in lines for _, y in line.points)
    return line_chart(
        lines,
        title=f"Pictures by {name}: this batch, and held out",
        x_name=name,
        y_text=percent,
        x_range=(0.0, 1.0),
        y_range=(0.0, top),
        width=420,
        height=180,
    )


def fractions(counts: Sequence[int]) -> list[tuple[float, float]]:
    """Return the middle of each bin, and the fraction in it."""
    return [((bin_ + 0.5) / len(counts), count / sum(counts)) for bin_, count in enumerate(counts)]
