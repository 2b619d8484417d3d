"""`tsukiji train`: from a data set to a model, with a live bar and an honest report."""

from itertools import islice
from typing import Annotated, Any, Final

import typer

from tsukiji.cli.completion import complete_source
from tsukiji.cli.options import Timeout
from tsukiji.cli.output import ERR, AsJson, note, print_fields, print_json, suggest
from tsukiji.cli.report import note_warnings, print_leakage, print_metrics
from tsukiji.cli.short_ids import short_id, whole_id
from tsukiji.cli.sources import import_source, source_of
from tsukiji.cli.waiting import wait
from tsukiji.client import Client, Model, Training
from tsukiji.types.trainings import AUTO

LOOKED_THROUGH: Final = 100
"""Models among which the one before is looked for."""


def train(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="Data set id or name; or a folder, archive or table, which is first imported under its name.",
            callback=whole_id,
            autocompletion=complete_source,
        ),
    ],
    preset: Annotated[
        str | None, typer.Option("--preset", help="quick, standard or thorough; standard by default.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Epochs; 10 by default, 20 in quick.")] = None,
    image_size: Annotated[
        int | None, typer.Option("--image-size", help="Input size in pixels; 224 by default.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Batch size; 64 by default.")] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            help="Maximum learning rate of one-cycle; 0.001 by default; thorough searches it, quick has none.",
        ),
    ] = None,
    valid_fraction: Annotated[
        float | None, typer.Option("--valid-fraction", help="Fraction of each label to hold out; 0.3 by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Random seed; 42 by default.")] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            help="A backbone that `tsukiji weights ls` lists; resnet34 by default, and for a folder, archive or table "
            "auto: resnet34 if a worker has its weights, else efficientnet_lite0.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="Which pretrained weights: ra4 for better ones of resnet34; the backbone's default weights otherwise.",
        ),
    ] = None,
    no_pretrained: Annotated[bool, typer.Option("--no-pretrained", help="Start from random weights.")] = False,
    no_flip: Annotated[bool, typer.Option("--no-flip", help="No mirroring; for text, digits, signs.")] = False,
    class_weights: Annotated[
        str | None,
        typer.Option(
            "--class-weights",
            help="balanced: weight rare classes higher; none; auto, the default: balanced if classes are uneven.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", help="float32: serve the model so; auto, the default: the fastest without loss."),
    ] = None,
    unknown: Annotated[
        str | None,
        typer.Option(
            "--unknown",
            help='A data set of other things, to measure "none of these"; none by default.',
            callback=whole_id,
        ),
    ] = None,
    resplit: Annotated[bool, typer.Option("--resplit", help="Draw new splits.")] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the model; the data set's name by default.")
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start it and return at once.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before adding a folder to a data set that differs from it.")
    ] = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Train a model and print how good it is. Options left out have the service's defaults."""
    recipe = {
        "preset": preset,
        "epochs": epochs,
        "image_size": image_size,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "valid_fraction": valid_fraction,
        "seed": seed,
        "backbone": backbone,
        "weights": weights,
        "pretrained": False if no_pretrained else None,
        "class_weights": class_weights,
        "precision": precision,
        "flip": False if no_flip else None,
    }
    source = source_of(dataset)
    if source is not None and backbone is None and weights is None:
        recipe["backbone"] = AUTO
    with Client() as client:
        trained_on = dataset if source is None else import_source(client, source, yes=yes, timeout=timeout)
        job = client.trainings.create(trained_on, given(recipe), name=name, unknown=unknown, resplit=resplit)
        note(f"training {job.id}")
        if chosen := job.request.get("backbone_choice"):
            note(f"backbone {chosen}")
        if no_wait:
            show_started(job, as_json)
        else:
            show_result(client, wait(job, timeout), as_json)


def given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def show_started(job: Training, as_json: bool) -> None:
    if as_json:
        print_json(job)
    else:
        print_fields({"training": job.id, "status": job.status})


def show_result(client: Client, job: Training, as_json: bool) -> None:
    """Print what came of a finished training, or raise what stopped it."""
    if as_json:
        print_json(job)
    job.raise_for_status()
    result = job.result or {}
    for warning in result.get("warnings") or []:
        detail = warning.get("detail") if isinstance(warning, dict) else warning
        note(f"warning: {detail}", style="yellow")
    if as_json:
        return
    model = job.model
    name = model.name if model else None
    print_fields({"model": name, "id": result.get("model_id"), "weights": result.get("weights_source")})
    evaluation = job.evaluation
    if evaluation:
        note_warnings(evaluation)
        print_leakage(evaluation.leakage)
        print_metrics(evaluation.metrics)
    if count := result.get("suspected_labels"):
        note(f"{count} labels may be wrong: `tsukiji models suspects {name}` lists them")
    if model:
        suggest_next(client, model)


def suggest_next(client: Client, model: Model) -> None:
    """Name the comparison with the model before, of the same name; of the first one, its mistakes."""
    if not ERR.is_terminal:
        return
    newest = islice(client.models.list(), LOOKED_THROUGH)
    older = next((found for found in newest if found.name == model.name and found.id != model.id), None)
    if older is None:
        suggest("models", "mistakes", model.name)
    else:
        suggest("models", "compare", short_id(older.id), model.name)
