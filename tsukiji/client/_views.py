"""What a notebook shows of each record."""

from collections.abc import Sequence
from datetime import timedelta
from html import escape

from tsukiji import types
from tsukiji.client import _html as html

COLOUR_OF = {"succeeded": html.GREEN, "failed": html.RED, "expired": html.RED}


def dataset(record: types.Dataset, thumbnails: Sequence[bytes] = ()) -> str:
    most = max((count.images for count in record.classes), default=0) or 1
    rows = [
        ("unlabelled" if count.label is None else count.label, count.images / most, f"{count.images:,}")
        for count in record.classes
    ]
    splits = ", ".join(f"{name} {images:,}" for name, images in record.splits.items())
    note = f"{record.images:,} images" + (f" ({splits})" if splits else "")
    return html.card(f"Data set {record.name}", html.bars(rows), html.pictures(thumbnails), note=note)


def job(record: types.Job) -> str:
    at = record.status if record.done else record.phase or record.status
    left = record.progress.eta_seconds
    text = f"{at} {record.progress.fraction:.0%}"
    if left is not None and not record.done:
        text += f", {timedelta(seconds=round(left))} left"
    colour = COLOUR_OF.get(record.status, html.BLUE)
    parts = [f"<div>{html.fraction_bar(record.progress.fraction, colour)} {escape(text)}</div>"]
    if record.counts and record.counts.total:
        counts = {name: count for name, count in record.counts if isinstance(count, int) and count}
        parts.append(html.line(", ".join(f"{name} {count:,}" for name, count in counts.items())))
    if record.error:
        parts.append(html.line(f"{record.error.code}: {record.error.detail or record.error.title}"))
    return html.card(f"{record.object.capitalize()} {record.id}", *parts)


def prediction(record: types.Prediction, picture: bytes | None = None) -> str:
    if record.error:
        return html.card(record.custom_id, html.line(f"{record.error.code}: {record.error.detail}"))
    decided = record.labels if record.labels is not None else [record.decision] if record.decision else []
    why = f" ({record.abstain_reason.replace('_', ' ')})" if record.abstain_reason else ""
    note = f"decision: {', '.join(decided) or 'none'}{why}"
    if record.known_score is not None:
        note += f", known score {record.known_score:.2f}"
    rows = [(score.label, score.score, f"{score.score:.1%}") for score in record.scores]
    parts = [html.annotated(record, picture), html.bars(rows)]
    if record.heatmap and record.heatmap.withheld:
        parts.append(html.line(f"no heatmap: {record.heatmap.withheld}"))
    return html.card(record.custom_id, *parts, note=note)


def evaluation(record: types.Evaluation) -> str:
    metrics = record.metrics
    interval = metrics.accuracy_interval
    within = f" ({interval[0]:.1%} to {interval[1]:.1%})" if interval else ""
    note = f"accuracy {metrics.accuracy:.1%}{within} on {metrics.images:,} images of {record.split}"
    worst = sorted(metrics.per_class, key=lambda row: -1 if row.f1 is None else row.f1)
    rows = [
        [row.label, html.percent(row.precision), html.percent(row.recall), html.percent(row.f1), f"{row.support:,}"]
        for row in worst
    ]
    parts = [html.line(str(warning.get("detail", ""))) for warning in record.warnings]
    if metrics.confusion:
        parts.append(html.matrix(metrics.label_names, metrics.confusion))
    parts.append(html.table(["label", "precision", "recall", "F1", "images"], rows))
    return html.card(f"Evaluation of {record.model_id}", *parts, note=note)


def comparison(record: types.Comparison) -> str:
    low, high = record.difference_interval
    note = (
        f"accuracy {record.accuracy_a:.1%} → {record.accuracy_b:.1%}: {100 * record.difference:+.1f} points "
        f"({100 * low:+.1f} to {100 * high:+.1f}), p = {record.p_value:.2g}, on {record.images:,} images that both have"
    )
    models = [("a", record.accuracy_a, record.model_a), ("b", record.accuracy_b, record.model_b)]
    rows = [
        [row.label, f"{row.images:,}", f"{row.right_a:,}", f"{row.right_b:,}", f"{100 * row.difference:+.1f}"]
        for row in record.per_class
    ]
    heads = ["label", "images", "right a", "right b", "recall, points"]
    return html.card("Comparison", html.bars(models), html.table(heads, rows), html.line(record.summary), note=note)
