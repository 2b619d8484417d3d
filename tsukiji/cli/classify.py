"""`tsukiji classify` for any number of pictures in the background, `tsukiji predict` for a few at once."""

import shlex
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tsukiji import types
from tsukiji.cli.completion import complete_model
from tsukiji.cli.guarantees import told
from tsukiji.cli.options import Encoding, FailOnItemError, Timeout
from tsukiji.cli.outcomes import ExitCode
from tsukiji.cli.output import AsJson, note, print_fields, print_json, print_records, suggest, text
from tsukiji.cli.short_ids import short_id, whole_id
from tsukiji.cli.waiting import sending, wait
from tsukiji.client import Batch, Client, NotFoundError
from tsukiji.ingest.archives import HEAD_BYTES, begins_archive

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Model id, alias or name; by default the alias production, or the only model that there is.",
        callback=whole_id,
        autocompletion=complete_model,
    ),
]
Top = Annotated[int, typer.Option("--top", min=1, max=100, help="How many labels to list.")]
Threshold = Annotated[
    float, typer.Option("--threshold", min=0, max=1, help="Minimum probability for a decision, or for each label.")
]
MinKnown = Annotated[
    float | None,
    typer.Option(
        "--min-known",
        min=0,
        max=1,
        help="Minimum known score; below it: none of these. 0: never. By default the model's own.",
    ),
]
TargetError = Annotated[
    float | None,
    typer.Option(
        "--target-error",
        min=0,
        max=0.5,
        help="Instead: decide as much as can be decided with at most this part of it wrong, and leave the rest to you.",
    ),
]
Confidence = Annotated[
    float | None, typer.Option("--confidence", min=0.5, max=0.999, help="Of --target-error; 0.95 by default.")
]
PredictionSet = Annotated[
    float | None,
    typer.Option("--prediction-set", help="Also labels that have the true one this often: 0.8, 0.9, 0.95 or 0.99."),
]
Tags = Annotated[bool, typer.Option("--tags", help="Also locate labels in the picture; rough, not a trained detector.")]
HeatmapOf = Annotated[
    str | None, typer.Option("--heatmap", help="Also make heatmaps for this label, or `top` for the likeliest.")
]
HeatmapsTo = Annotated[
    Path | None, typer.Option("--heatmaps-to", file_okay=False, help="Save the heatmaps as PNG in this folder.")
]
KeepDays = Annotated[
    float | None,
    typer.Option(
        "--keep-days",
        min=0,
        help="Days until results and pictures are deleted. 0: never. By default the service's setting.",
    ),
]


Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[PATH...]", exists=True, help="Files, folders, one zip or tar, or one manifest (.jsonl)."),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        help="Save as .csv, .jsonl or .parquet. For millions of images: `parquet` keeps results as Parquet files in "
        "the service, a URL writes them to a folder or S3 prefix that it may write to.",
    ),
]
Source = Annotated[
    str | None, typer.Option("--source", help="Instead: URL of a folder or S3 prefix that the service may read.")
]


def verdict(found: types.Prediction) -> Any:
    """Return the decision: a label, or all that a model of several labels decided for; or why there is none."""
    if found.abstained:
        several = found.labels is not None and found.abstain_reason == "below_threshold"
        return "no label is sure enough" if several else UNDECIDED.get(found.abstain_reason or "", "no decision")
    return found.decision if found.labels is None else found.labels


def describe(found: types.Prediction) -> str:
    """Write the likeliest labels with their probabilities, or what is wrong with the picture."""
    if found.error:
        return f"{found.error.code}: {found.error.detail or found.error.title}"
    return likeliest(found.scores)


def likeliest(scores: Iterable[types.Score]) -> str:
    return "  ".join(f"{text(row.label)} {row.score:.3f}" for row in scores)


BAD_SHOWN: Final = 20
PRODUCTION: Final = "production"
"""The alias that is meant where no model is named."""
UNDECIDED: Final = {"none_of_these": "none of these", "below_threshold": "not sure enough"}
ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz")
MANIFEST: Final = ".jsonl"
COLUMNS: Final = {
    "image": lambda found: found.custom_id,
    "decision": verdict,
    "likeliest": describe,
}


def classify(
    paths: Paths = None,
    model: ModelOption = None,
    source: Source = None,
    top: Top = 3,
    threshold: Threshold = 0.0,
    min_known: MinKnown = None,
    target_error: TargetError = None,
    confidence: Confidence = None,
    prediction_set: PredictionSet = None,
    tags: Tags = False,
    heatmap: HeatmapOf = None,
    keep_days: KeepDays = None,
    priority: Annotated[int, typer.Option("--priority", min=0, max=4, help="Higher runs first.")] = 0,
    encoding: Encoding = None,
    output: Output = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start it and return at once.")] = False,
    timeout: Timeout = None,
    fail_on_item_error: FailOnItemError = False,
    as_json: AsJson = False,
) -> None:
    """Label pictures in the background and wait for the results. Bad pictures are listed and do not stop the others."""
    parts, target = destination(output)
    check_target(target)
    with Client() as client:
        options = {
            "model": model or meant(client, "tsukiji classify"),
            "top_k": top,
            "threshold": threshold,
            "min_known": min_known,
            "priority": priority,
        }
        options |= {"target_error": target_error, "confidence": confidence, "prediction_set": prediction_set}
        options |= {"tags": tags, "heatmap": heatmap, "retention_days": keep_days}
        options["output"] = parts
        job = start(client, paths or [], source, options, encoding)
        note(f"batch {job.id}")
        if no_wait:
            tell_warnings(job)
            show_job(job, as_json)
            return
        finish(wait(job, timeout), target, as_json, columns_of(tags=tags, sets=prediction_set is not None))
        if job.request.get("target_error") is not None:
            note(told(job.guarantee()))
        if target:
            suggest("results", "summary", short_id(job.id))
        else:
            suggest("results", "get", short_id(job.id), "-o", "labels.csv")
    if fail_on_item_error and job.counts and job.counts.errored:
        raise typer.Exit(ExitCode.ITEM_ERRORS)


def predict(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False, help="Up to 16.")],
    model: ModelOption = None,
    top: Top = 3,
    threshold: Threshold = 0.0,
    min_known: MinKnown = None,
    target_error: TargetError = None,
    confidence: Confidence = None,
    prediction_set: PredictionSet = None,
    tags: Tags = False,
    heatmap: HeatmapOf = None,
    heatmaps_to: HeatmapsTo = None,
    no_record: Annotated[bool, typer.Option("--no-record", help="Store neither pictures nor results: faster.")] = False,
    fail_on_item_error: FailOnItemError = False,
    as_json: AsJson = False,
) -> None:
    """Label up to 16 pictures at once."""
    with Client() as client:
        wanted = heatmap or ("top" if heatmaps_to else None)
        model = model or meant(client, "tsukiji predict")
        found = client.predict(
            files,
            model,
            top_k=top,
            threshold=threshold,
            min_known=min_known,
            target_error=target_error,
            confidence=confidence,
            prediction_set=prediction_set,
            tags=tags,
            heatmap=wanted,
            record=not no_record,
        )
        if heatmaps_to:
            save_heatmaps(client, found, heatmaps_to)
    print_records(found, columns_of(tags=tags, sets=prediction_set is not None), as_json)
    if fail_on_item_error and any(prediction.error for prediction in found):
        raise typer.Exit(ExitCode.ITEM_ERRORS)


def meant(client: Client, command: str) -> str:
    """Return the model for which no name is needed, and say which it is.

    Raises:
        typer.BadParameter: there is none, or there are several and none is in production.
    """
    with suppress(NotFoundError):
        model = client.models.get(PRODUCTION)
        note(f"model {text(model.name)} ({PRODUCTION})")
        return model.id
    models = list(islice(client.models.list(), 2))
    if not models:
        raise typer.BadParameter("There is no model yet; `tsukiji train FOLDER` trains one.")
    newest = models[0]
    if len(models) > 1:
        raise typer.BadParameter(
            f"Which model? Use --model; the newest is `{command} --model {shlex.quote(newest.name)}`, and `tsukiji "
            f"models promote {shlex.quote(newest.name)} {PRODUCTION}` makes it the default."
        )
    note(f"model {text(newest.name)}")
    return newest.id


def columns_of(*, tags: bool, sets: bool) -> dict[str, Any]:
    shown = {"set": lambda found: found.prediction_set} if sets else {}
    return COLUMNS | shown | ({"tags": places} if tags else {})


def places(found: types.Prediction) -> str:
    """Write the tags with their boxes."""
    tags = found.tags or []
    return "  ".join(f"{text(tag.label)} {tag.score:.3f} at {','.join(map(str, tag.box))}" for tag in tags) or "none"


def save_heatmaps(client: Client, found: Iterable[types.Prediction], folder: Path) -> None:
    """Save what there is, and say what is withheld."""
    folder.mkdir(parents=True, exist_ok=True)
    any_found = False
    for prediction in found:
        heatmap = prediction.heatmap
        if heatmap is None:
            continue
        any_found = True
        if heatmap.withheld:
            note(f"{prediction.custom_id}: no heatmap: {heatmap.withheld}")
        else:
            target = folder / f"{prediction.seq:02}-{Path(prediction.custom_id).stem}.png"
            note(f"saved {client.save_heatmap(prediction, target)}")
    if not any_found:
        note("There are no heatmaps; use --heatmap when classifying the pictures.", style="yellow")


def start(
    client: Client, paths: list[Path], source: str | None, options: dict[str, Any], encoding: str | None = None
) -> Batch:
    if (source is None) == (not paths):
        raise typer.BadParameter("give paths, or --source")
    if source is not None:
        return client.batches.create(source=source, **options)
    alone = [path for path in paths if is_alone(path)]
    if alone and len(paths) > 1:
        raise typer.BadParameter(f"{alone[0]} cannot be combined: give one archive or manifest, or files and folders")
    if alone and alone[0].suffix.lower() == MANIFEST:
        return client.batches.create(manifest=alone[0], **options)
    if alone:
        with sending(alone[0]) as progress:
            return client.batches.create(archive=alone[0], progress=progress, encoding=encoding, **options)
    return client.batches.create(images=paths, **options)


def is_alone(path: Path) -> bool:
    """Return whether this is a manifest, or an archive by its name or its first bytes."""
    if path.is_dir() or path.name.lower().endswith((*ARCHIVES, MANIFEST)):
        return not path.is_dir()
    with path.open("rb") as file:
        return begins_archive(file.read(HEAD_BYTES))


def tell_warnings(job: Batch) -> None:
    for warning in job.warnings:
        note(f"  {warning.get('detail')}", style="yellow")


def finish(job: Batch, target: Path | None, as_json: bool, columns: dict[str, Any] = COLUMNS) -> None:
    """Hand out what there is, also of a batch that ended badly, and then raise why it did."""
    if target:
        note(f"saved {job.download(target)}")
        show_job(job, as_json)
    elif job.request.get("output"):
        show_job(job, as_json)
    else:
        print_records(job.results(), columns, as_json)
    if job.counts:
        note(f"{job.counts.succeeded} classified, {job.counts.errored} with errors")
        if job.counts.errored:
            list_bad(job, job.counts.errored)
    tell_warnings(job)
    job.raise_for_status()


def list_bad(job: Batch, errored: int) -> None:
    """Say which pictures could not be classified, and why."""
    for found in islice(job.results(status="errored"), BAD_SHOWN):
        note(f"  {text(found.custom_id)}: {describe(found)}")
    if errored > BAD_SHOWN:
        note(f"  and {errored - BAD_SHOWN} more: `tsukiji results get {job.id} --status errored` lists all")


def destination(output: str | None) -> tuple[str | None, Path | None]:
    """Return where the service writes Parquet parts, or else the file to save the results in."""
    if output == "parquet" or (output and "://" in output):
        return output, None
    return None, Path(output) if output else None


def check_target(target: Path | None) -> None:
    """Refuse a file of another kind before anything is sent."""
    if target and target.suffix.lower() not in Batch.FORMATS:
        raise typer.BadParameter(f"results can be saved as {', '.join(Batch.FORMATS)}")


def show_job(job: Batch, as_json: bool) -> None:
    if as_json:
        print_json(job)
    else:
        print_fields({"batch": job.id, "status": job.status})
