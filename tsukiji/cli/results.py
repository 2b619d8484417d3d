"""`tsukiji results`: what a batch has found so far: chosen, saved, counted, deleted."""

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tsukiji import types
from tsukiji.cli.classify import COLUMNS, HeatmapsTo, MinKnown, check_target, save_heatmaps
from tsukiji.cli.guarantees import told
from tsukiji.cli.options import BatchId, Yes, check_label, confirm, print_deleted
from tsukiji.cli.outcomes import ExitCode
from tsukiji.cli.output import AsJson, labels_of, note, print_fields, print_json, print_records, print_table
from tsukiji.client import Batch, Client

app = typer.Typer(no_args_is_help=True, help="Results of a batch, also while it runs.")

Threshold = Annotated[
    float | None,
    typer.Option("--threshold", min=0, max=1, help="Apply this threshold; the batch's own by default."),
]
Status = Literal["succeeded", "errored", "cancelled", "expired"]


@app.command("get")
def get(
    batch: BatchId,
    label: Annotated[str | None, typer.Option("--label", help="Likeliest label, whatever the decision.")] = None,
    decision: Annotated[str | None, typer.Option("--decision", help="Decision is this label.")] = None,
    abstained: Annotated[
        bool | None,
        typer.Option("--undecided/--decided", "--none-of-these", help="Only without a decision, or only with one."),
    ] = None,
    min_score: Annotated[float | None, typer.Option("--min-score", min=0, max=1, help="Minimum probability.")] = None,
    max_score: Annotated[float | None, typer.Option("--max-score", min=0, max=1, help="Maximum probability.")] = None,
    status: Annotated[Status | None, typer.Option("--status", help="Only with this status; all by default.")] = None,
    error: Annotated[str | None, typer.Option("--error", help="Failed with this error code.")] = None,
    true_label: Annotated[str | None, typer.Option("--true-label", help="True label in the data set.")] = None,
    order: Annotated[
        Literal["seq", "score", "-score"],
        typer.Option("--order", help="score: least certain first; -score: most certain first."),
    ] = "seq",
    threshold: Threshold = None,
    min_known: MinKnown = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Include the probability of every label.")
    ] = False,
    target: Annotated[Path | None, typer.Option("-o", "--output", help="Save as .csv, .jsonl or .parquet.")] = None,
    heatmaps_to: HeatmapsTo = None,
    as_json: AsJson = False,
) -> None:
    """Print or save results: all, or those that match every option."""
    check_target(target)
    options: dict[str, Any] = {
        "label": label,
        "decision": decision,
        "abstained": abstained,
        "min_score": min_score,
        "max_score": max_score,
        "status": status,
        "error": error,
        "true_label": true_label,
        "order": order,
        "threshold": threshold,
        "min_known": min_known,
    }
    with Client() as client:
        job = client.batches.get(batch)
        for named in (label, decision):
            check_label(named, job.request.get("label_names") or [named])
        if heatmaps_to:
            save_heatmaps(client, job.results(**options), heatmaps_to)
        elif target:
            note(f"saved {job.download(target, probabilities=probabilities, **options)}")
        else:
            print_records(job.results(probabilities=probabilities, **options), COLUMNS, as_json)


@app.command("summary")
def summary(batch: BatchId, threshold: Threshold = None, min_known: MinKnown = None, as_json: AsJson = False) -> None:
    """Count the images of each label."""
    with Client() as client:
        show_summary(client.batches.get(batch), threshold, min_known, as_json)


@app.command("guarantee")
def guarantee(batch: BatchId, as_json: AsJson = False) -> None:
    """Show what was promised with --target-error, whether it holds, and random decisions to check.

    `tsukiji results correct` takes the true label of each, also of those that are right.
    """
    with Client() as client:
        found = client.batches.get(batch).guarantee()
    if as_json:
        print_json(found)
        return
    print_table(["image", "decided"], [[row.custom_id, row.decision] for row in found.checks])
    note(told(found), style="yellow" if found.status in {"broken", "withdrawn"} else None)
    if found.interval and found.checked:
        low, high = found.interval
        share = f"{low:.1%} to {high:.1%} of all decisions"
        note(f"{found.checked} of {found.sample} checked, {found.wrong} wrong: {share}")


@app.command("correct")
def correct(
    batch: BatchId,
    image: Annotated[str, typer.Argument(metavar="CUSTOM_ID", help="The image's custom_id in the batch.")],
    label: Annotated[
        list[str] | None, typer.Argument(metavar="LABEL...", help="The true label; several in a multi-label model.")
    ] = None,
    none_of_these: Annotated[bool, typer.Option("--none-of-these", help="It shows none of the labels.")] = False,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Target data set; by default the one that the model was trained on.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Correct a prediction: the picture becomes a labelled image in a data set, pending review."""
    if bool(label) == none_of_these:
        raise typer.BadParameter("give the true label, or --none-of-these")
    right = label[0] if label and len(label) == 1 else label or []
    with Client() as client:
        found = client.batches.get(batch).correct({image: right}, dataset=dataset)
    if as_json:
        print_json(found)
        return
    (item,) = found.items
    if item.error:
        note(f"{image} was not accepted: {item.error.code}: {item.error.detail or item.error.title}", style="red")
        raise typer.Exit(ExitCode.ITEM_ERRORS)
    print_fields(
        {
            "image": item.image_id,
            "dataset": found.dataset_id,
            "label": labels_of(item.label, item.labels),
            "verdict": item.verdict,
        }
    )
    if item.verdict == "duplicate":
        tell_duplicate(found.dataset_id, item, label or [])


def tell_duplicate(dataset_id: str, item: types.FeedbackItem, wanted: list[str]) -> None:
    """Say why nothing was changed, and what would.

    Raises:
        typer.Exit: the picture is held with other labels than these.
    """
    held = labels_of(item.label, item.labels) or "no label"
    if sorted(wanted) == sorted([item.label] if item.label else item.labels or []):
        note(f"Nothing was changed: the data set already has this picture, as {held}.")
        return
    labels = " ".join(f"--relabel {shlex.quote(each)}" for each in wanted) or "--relabel-none"
    note(
        f"Nothing was changed: the data set already has this picture, with another label ({held}). "
        f"`tsukiji datasets fix {dataset_id} --image {item.image_id} {labels}` relabels it.",
        style="yellow",
    )
    raise typer.Exit(ExitCode.ITEM_ERRORS)


@app.command("rm")
def remove(batch: BatchId, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete the results and pictures of a finished batch; its counts and history are kept."""
    with Client() as client:
        job = client.batches.get(batch)
        images = job.counts.total if job.counts else 0
        confirm(f"Delete the results of {job.id}, and its {images} pictures?", yes)
        job.delete()
    print_deleted(job.id, as_json)


def show_summary(job: Batch, threshold: float | None, min_known: float | None, as_json: bool) -> None:
    found = job.summary(threshold=threshold, min_known=min_known)
    if as_json:
        print_json(found)
        return
    rows: list[list[Any]] = [[row.label, row.images, row.decisions] for row in found.labels]
    rows += [["none of these", found.none_of_these, None], ["not sure enough", found.below_threshold, None]]
    rows += [[f"error: {row.code}", row.images, None] for row in found.errors]
    rows.append(["waiting", found.counts.queued, None])
    print_table(["", "images", "decisions"], rows)
    if found.drift and found.drift.exceeded:
        note(
            f"{found.drift.strange} images are strange to the model, where about {found.drift.expected:.0f} were to be "
            f"expected; `tsukiji models drift {found.drift.model_id}` compares its batches.",
            style="yellow",
        )
