"""Rows to responses. Knows no request; everything a response needs is passed in."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, cast

from db import models as rows
from db.curation import revisions
from db.curation.open_findings import dismissed_kinds
from tsukiji import types
from tsukiji.labels import SEPARATOR, all_labels, count_labels, label_members, one_label, split_labels
from tsukiji.types.suggestions import DOUBTFUL

RARE = 10
"""A label with this many times fewer images than an even share is rare."""
LISTED_LABELS = 10


def dataset(
    row: rows.Dataset,
    labels: Sequence[tuple[str | None, int]] = (),
    splits: Mapping[str, int] | None = None,
    left_out: tuple[int, int] = (0, 0),
) -> types.Dataset:
    """Return the answer; `labels` are images per text, `left_out` those that are excluded and that wait for review."""
    counts = dict(labels)
    classes = [types.ClassCount(label=label, images=images) for label, images in count_labels(labels).items()]
    if None in counts:
        classes.append(types.ClassCount(label=None, images=counts[None]))
    return types.Dataset(
        id=row.id,
        name=row.name,
        description=row.description,
        kind=cast("types.Kind", row.kind),
        images=sum(counts.values()),
        classes=sorted(classes, key=lambda found: (-found.images, found.label or "")),
        none_of_these=counts.get(SEPARATOR, 0),
        splits=dict(splits or {}),
        excluded=left_out[0],
        pending=left_out[1],
        created_at=row.created_at,
    )


def image(row: rows.Image) -> types.Image:
    kept = {"dismissed": dismissed_kinds(row.dismissed), "links": image_links(row.id)}
    return types.Image.model_validate(columns(row) | label_members(row.label) | kept)


def image_links(image_id: str) -> dict[str, str]:
    place = f"/v1/images/{image_id}"
    return {"self": place, "original": f"{place}/content", "thumb": f"{place}/content?variant=thumb"}


def revision(row: rows.Revision) -> types.Revision:
    place = f"/v1/datasets/{row.dataset_id}/revisions/{row.id}"
    links = {"self": place, "changes": f"{place}/changes", "undo": f"{place}/undo"}
    return types.Revision.model_validate(columns(row) | {"links": links})


def revision_change(row: rows.RevisionChange, field: str) -> types.RevisionChange:
    before, after = (revisions.read(field, text) for text in (row.before, row.after))
    return types.RevisionChange(image_id=row.image_id, before=before, after=after)


def image_change(found: tuple[rows.Revision, rows.RevisionChange]) -> types.ImageChange:
    row, change = found
    return types.ImageChange(**dict(revision_change(change, row.field)), revision=revision(row))


def snapshot(row: rows.Snapshot) -> types.Snapshot:
    place = f"/v1/snapshots/{row.id}"
    links = {"self": place, "export": f"{place}/export"}
    if row.dataset_id:
        links["dataset"] = f"/v1/datasets/{row.dataset_id}"
    known = {name: value for name, value in columns(row).items() if name in types.Snapshot.model_fields}
    return types.Snapshot.model_validate(known | {"links": links})


def analysis(
    row: rows.Analysis, found: Mapping[str, int], groups: int, labels: Sequence[tuple[str | None, int]]
) -> types.Analysis:
    """Return the answer; `found` counts findings by kind, `labels` images by the text of their labels."""
    images = sum(count for _, count in labels)
    return types.Analysis(
        dataset_id=row.dataset_id,
        job_id=row.job_id,
        finished_at=row.finished_at,
        images=row.images,
        images_since=images - row.images,
        findings=dict(found),
        prevalent=row.prevalent,
        groups=groups,
        unavailable=row.unavailable,
        balance=balance(dict(count_labels(labels).most_common()), images - dict(labels).get(None, 0)),
        unlabelled=dict(labels).get(None, 0),
        links=analysis_links(row.dataset_id) | {"job": f"/v1/analyses/{row.job_id}"},
    )


def balance(counts: Mapping[str, int], labelled: int) -> list[types.LabelBalance]:
    total = sum(counts.values())
    return [
        types.LabelBalance(label=label, images=count, share=count / labelled, rare=count * len(counts) * RARE < total)
        for label, count in counts.items()
    ]


def analysis_links(dataset_id: str) -> dict[str, str]:
    place = f"/v1/datasets/{dataset_id}"
    return {"analysis": f"{place}/analysis", "findings": f"{place}/findings"}


def suggestions(rounds: Sequence[rows.Job], piles: Sequence[tuple[str, str | None, int, float]]) -> types.Suggestions:
    """Return the answer; the last of `rounds` is shown, `piles` are (pile, label, images, lowest score)."""
    found: dict[str, types.Pile] = {}
    for pile, label, images, lowest in piles:
        known = found.setdefault(pile, types.Pile(pile=pile, label=label, images=0, lowest_score=lowest))
        known.images += images
        known.lowest_score = min(known.lowest_score, lowest)
    if DOUBTFUL in found:
        found[DOUBTFUL].label = None
    last, result = rounds[-1], rounds[-1].result or {}
    return types.Suggestions(
        **suggestion_round(last).model_dump(),
        dataset_id=result["dataset_id"],
        bound=result["bound"],
        unreadable=result["unreadable"],
        piles=sorted(found.values(), key=lambda pile: (pile.pile == DOUBTFUL, -pile.images, pile.pile)),
        history=[suggestion_round(row) for row in rounds],
        links=suggestion_links(result["dataset_id"]) | {"job": f"/v1/suggestions/{last.id}"},
    )


def suggestion_round(row: rows.Job) -> types.SuggestionRound:
    known = {name: value for name, value in (row.result or {}).items() if name in types.SuggestionRound.model_fields}
    return types.SuggestionRound(job_id=row.id, created_at=row.created_at, **known)


def suggestion_links(dataset_id: str) -> dict[str, str]:
    place = f"/v1/datasets/{dataset_id}/suggestions"
    return {"suggestions": place, "images": f"{place}/images"}


def suggested_image(row: tuple[rows.Suggestion, rows.Image]) -> types.SuggestedImage:
    found, image = row
    return types.SuggestedImage(
        image_id=found.image_id,
        pile=found.pile,
        label=found.label,
        score=found.score,
        name=image.name,
        width=image.width,
        height=image.height,
        links=image_links(image.id),
    )


def finding(row: tuple[rows.Finding, rows.Image]) -> types.Finding:
    found, of = row
    return types.Finding(
        kind=found.kind,
        image_id=found.image_id,
        score=found.score,
        group=found.group_id or None,
        suggestion=found.suggestion,
        name=of.name,
        **label_members(of.label),
        split=cast("types.Split | None", of.split or of.drawn_split),
        width=of.width,
        height=of.height,
        bytes=of.bytes,
        image=image(of),
        links=image_links(of.id),
    )


def model(row: rows.Model, aliases: Sequence[str] = (), evaluation_id: str | None = None) -> types.Model:
    place = f"/v1/models/{row.id}"
    links = {"self": place, "package": f"{place}/package", "predict": f"{place}/predict", "exports": f"{place}/exports"}
    links |= {"suspects": f"{place}/suspects", "drift": f"{place}/drift"}
    if evaluation_id:
        links["evaluation"] = f"/v1/evaluations/{evaluation_id}"
    if row.training_id:
        links["training"] = f"/v1/trainings/{row.training_id}"
    return types.Model.model_validate(
        columns(row)
        | {
            "image_size": row.recipe.get("image_size", 0),
            "pretrained": row.recipe.get("pretrained", False),
            "aliases": list(aliases),
            "evaluation_id": evaluation_id,
            "heatmap": row.parity.get("heatmap"),
            "links": links,
        }
    )


def export(row: rows.ModelExport) -> types.ModelExport:
    links = {"self": export_place(row.model_id, row.format), "model": f"/v1/models/{row.model_id}"}
    return types.ModelExport.model_validate(columns(row) | {"links": links})


def export_place(model_id: str, wanted: str) -> str:
    return f"/v1/models/{model_id}/exports/{wanted}"


def alias(row: rows.Alias) -> types.Alias:
    return types.Alias.model_validate(columns(row))


def alias_move(row: rows.AliasMove, existing: AbstractSet[str]) -> types.AliasMove:
    return types.AliasMove(
        model_id=row.model_id, moved_by=row.moved_by, at=row.at, model_exists=row.model_id in existing
    )


def evaluation(row: rows.Evaluation, leakage: dict[str, Any] | None = None) -> types.Evaluation:
    """Return the answer; `leakage` is what its snapshot says."""
    place = f"/v1/evaluations/{row.id}"
    links = {
        "self": place,
        "items": f"{place}/items",
        "confusion_csv": f"{place}/confusion.csv",
        "confusion_png": f"{place}/confusion.png",
        "model": f"/v1/models/{row.model_id}",
    }
    return types.Evaluation.model_validate(
        columns(row) | {"leakage": leakage, "links": links, "warnings": evaluation_warnings(row)}
    )


def listed_evaluation(row: rows.Evaluation, leakage: dict[str, Any] | None = None) -> types.Evaluation:
    """Return an evaluation without what is long."""
    found = evaluation(row, leakage)
    found.metrics.curves, found.metrics.sweep, found.metrics.selective = [], [], None
    if found.metrics.multi_label:
        found.metrics.multi_label.sweep = []
    return found


HARDLY_WORKS: Final = 0.5
"""At this fraction of unknown things accepted as known, users are warned."""


def evaluation_warnings(row: rows.Evaluation) -> list[dict[str, Any]]:
    warnings: list[dict[str, Any]] = []
    if row.seen_in_training:
        detail = f"The model was trained on {row.seen_in_training} of these images: on those its figures are too good."
        warnings.append({"code": "seen_in_training", "detail": detail})
    if unmeasured := [found["label"] for found in row.metrics.get("per_class", []) if not found["support"]]:
        rest = f" and {len(unmeasured) - LISTED_LABELS} more" if len(unmeasured) > LISTED_LABELS else ""
        detail = (
            "No image of these labels was evaluated, so their figures are unknown, and the accuracy covers only the "
            f"others: {', '.join(unmeasured[:LISTED_LABELS])}{rest}."
        )
        warnings.append({"code": "labels_unmeasured", "detail": detail, "labels": unmeasured})
    rates = row.metrics.get("unknown") or {}
    passing = (rates.get("given") or rates).get("false_acceptances") or 0.0
    if passing >= HARDLY_WORKS:
        detail = (
            f'"None of these" hardly works for this model: it accepts {passing:.0%} of the pictures of unknown classes '
            "as one of its own. A higher bound rejects more of them, and also more of its own classes."
        )
        warnings.append({"code": "none_of_these_weak", "detail": detail})
    return warnings


def evaluation_item(row: rows.EvaluationItem) -> types.EvaluationItem:
    links = image_links(row.image_id) if row.image_id else {}
    values = {name: value for name, value in columns(row).items() if name in types.EvaluationItem.model_fields}
    members = texts("true_label", row.true_label) | texts("predicted_label", row.predicted_label)
    return types.EvaluationItem.model_validate(values | members | {"links": links})


def texts(name: str, text: str) -> dict[str, Any]:
    """Return a label, or a set of them, as an answer has it: `NAME`, null for a set, and `NAMEs`."""
    return {name: one_label(text), f"{name}s": all_labels(text)}


def compared_image(a: rows.EvaluationItem, b: rows.EvaluationItem) -> types.ComparedImage:
    return types.ComparedImage(
        image_id=a.image_id,
        name=a.name,
        sha256=a.sha256,
        true_label=one_label(a.true_label),
        label_a=one_label(a.predicted_label),
        label_b=one_label(b.predicted_label),
        true_labels=split_labels(a.true_label),
        labels_a=split_labels(a.predicted_label),
        labels_b=split_labels(b.predicted_label),
        score_a=a.score,
        score_b=b.score,
        links=image_links(a.image_id) if a.image_id else {},
    )


def suspect(row: rows.LabelSuspect) -> types.LabelSuspect:
    members = texts("label", row.label) | texts("suggested_label", row.suggested_label)
    return types.LabelSuspect.model_validate(
        columns(row) | members | {"links": image_links(row.image_id) if row.image_id else {}}
    )


def upload(row: rows.Upload, confirmed: int, parts: Sequence[rows.UploadPart] = ()) -> types.Upload:
    """Return the answer; `confirmed` bytes are there."""
    place = f"/v1/uploads/{row.id}"
    facts = {
        "status": "completed" if row.completed_at else "open",
        "parts_total": -(-row.bytes // row.part_bytes),
        "bytes_confirmed": confirmed,
        "parts": [upload_part(part) for part in parts],
        "links": {"self": place, "parts": f"{place}/parts/{{number}}", "complete": f"{place}/complete"},
    }
    known = {name: value for name, value in columns(row).items() if name in types.Upload.model_fields}
    return types.Upload.model_validate(known | facts)


def upload_part(row: rows.UploadPart) -> types.UploadPart:
    return types.UploadPart(number=row.number, bytes=row.bytes, sha256=row.sha256)


def verdict(row: rows.ImportItem) -> types.FileVerdict:
    return types.FileVerdict.model_validate(columns(row) | label_members(row.label))


def columns(row: rows.Base) -> dict[str, Any]:
    """Return a row's loaded columns by name."""
    return {name: value for name, value in vars(row).items() if not name.startswith("_")}
