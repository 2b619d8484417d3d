"""The HTML of `tsukiji report`: one file without scripts that loads nothing. Knows no service."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from tsukiji import types
from tsukiji.cli.charts import chart
from tsukiji.cli.matrix import most_confused
from tsukiji.cli.output import labels_of, text
from tsukiji.cli.report import fraction
from tsukiji.cli.report_style import STYLE

MATRIX_LABELS: Final = 30
PAIRS: Final = 30


@dataclass(frozen=True, slots=True)
class Mistake:
    item: types.EvaluationItem
    picture: bytes | None
    """A WebP thumbnail; None if the image was deleted."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the page says."""

    model: types.Model
    evaluation: types.Evaluation
    epochs: Sequence[types.EpochMetrics]
    mistakes: Sequence[Mistake]
    advice: Sequence[tuple[str, str | None]]
    """What to do next, each with a command or None."""


def render(facts: Facts) -> str:
    """Return the page."""
    metrics, name = facts.evaluation.metrics, escape(facts.model.name)
    parts = [
        f"<h1>{name}</h1>",
        summary(facts),
        section("What to do next", advice(facts.advice)),
        section("Confusion matrix", matrix(metrics)),
        section("Labels", labels(metrics)),
        section("Curves", curves(facts)),
        section("The worst mistakes", gallery(facts.mistakes)),
        section("How it was made", details(facts.model, facts.evaluation)),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{name}: report</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>\n" if content else ""


def summary(facts: Facts) -> str:
    metrics = facts.evaluation.metrics
    what = "have exactly the right labels" if metrics.multi_label else "are labelled correctly"
    low, high = metrics.accuracy_interval or (None, None)
    between = "" if low is None or high is None else f" (95%: {low:.1%} to {high:.1%})"
    share = f"<strong>{metrics.accuracy:.1%}</strong> of {metrics.images:,} held-out images"
    return f'<p class="lead">{share} {what}{between}.</p>\n'


def advice(rows: Iterable[tuple[str, str | None]]) -> str:
    items = [
        f"<li>{escape(said)}{f'<br><code>{escape(command)}</code>' if command else ''}</li>" for said, command in rows
    ]
    return f"<ol>{''.join(items)}</ol>" if items else ""


def matrix(metrics: types.Metrics) -> str:
    """Return the matrix, each cell shaded by its share of the row; of very many labels the most confused pairs."""
    names = metrics.label_names
    if metrics.multi_label or not metrics.confusion:
        return ""
    if len(names) > MATRIX_LABELS:
        return table(["true", "predicted", "images"], most_confused(metrics)[:PAIRS])
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in names)
    rows = []
    for index, (name, counts) in enumerate(zip(names, metrics.confusion, strict=True)):
        of = sum(counts) or 1
        cells = "".join(
            f'<td class="{"right" if index == column else "wrong"}" style="--share:{count / of:.3f}">{count}</td>'
            for column, count in enumerate(counts)
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        '<p class="hint">Rows: true label. Columns: what the model says.</p><div class="wide"><table class="matrix">'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def labels(metrics: types.Metrics) -> str:
    if metrics.multi_label:
        columns = ["label", "average precision", "threshold", "found", "false positives", "missed"]
        return table(
            columns,
            [
                [
                    row.label,
                    row.average_precision,
                    row.threshold,
                    row.true_positives,
                    row.false_positives,
                    row.false_negatives,
                ]
                for row in metrics.multi_label.per_label
            ],
        )
    rows = [
        [row.label, *(fraction(value, row.support) for value in (row.precision, row.recall, row.f1)), row.support]
        for row in metrics.per_class
    ]
    return table(["label", "precision", "recall", "f1", "images"], rows)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(text(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def curves(facts: Facts) -> str:
    """Return the charts for which there are figures."""
    metrics, drawn = facts.evaluation.metrics, []
    if len(facts.epochs) > 1:
        lines = {
            "training": [(row.epoch, row.train_loss) for row in facts.epochs],
            "held out": [(row.epoch, row.valid_loss) for row in facts.epochs],
        }
        drawn.append(chart("Loss by epoch", "epoch", "loss", lines))
        drawn.append(
            chart("Accuracy by epoch", "epoch", "accuracy", {"": [(row.epoch, row.accuracy) for row in facts.epochs]})
        )
    if metrics.calibration and metrics.calibration.bins:
        points = [(row.confidence, row.accuracy) for row in metrics.calibration.bins]
        drawn.append(chart("Calibration", "probability", "right", {"model": points, "ideal": [(0, 0), (1, 1)]}))
    points = [(row.coverage, row.accuracy) for row in metrics.sweep if row.accuracy is not None]
    if len(set(points)) > 1:
        drawn.append(
            chart("If a person takes the uncertain ones", "images left to the model", "accuracy", {"": points})
        )
    return f'<div class="charts">{"".join(drawn)}</div>' if drawn else ""


def gallery(mistakes: Iterable[Mistake]) -> str:
    figures = "".join(map(figure, mistakes))
    return f'<div class="gallery">{figures}</div>' if figures else ""


def figure(mistake: Mistake) -> str:
    item = mistake.item
    true, predicted = (
        labels_of(item.true_label, item.true_labels),
        labels_of(item.predicted_label, item.predicted_labels),
    )
    said = f"is <b>{escape(text(true))}</b>, taken for <b>{escape(text(predicted))}</b> ({item.score:.2f})"
    shown = "<p>deleted</p>"
    if mistake.picture is not None:
        data = base64.b64encode(mistake.picture).decode()
        shown = f'<img alt="" src="data:image/webp;base64,{data}">'
    return f"<figure>{shown}<figcaption>{said}<br><small>{escape(text(item.name))}</small></figcaption></figure>"


def details(model: types.Model, evaluation: types.Evaluation) -> str:
    facts = {
        "backbone": model.backbone,
        "preset": model.recipe.get("preset"),
        "image size": model.image_size,
        "weights": model.weights_source,
        "labels": len(model.label_names),
        "aliases": model.aliases,
        "held-out images": evaluation.metrics.images,
        "loss": f"{evaluation.metrics.loss:.3g}",
        "created": model.created_at,
        "model": model.id,
        "evaluation": evaluation.id,
        "snapshot": evaluation.snapshot_id,
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(text(value))}</dd>" for name, value in facts.items())
    return f"<dl>{rows}</dl>"
