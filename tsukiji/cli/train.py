"""`tsukiji train`: from a data set to a model, with a live bar and an honest report."""

from typing import Annotated, Any

import typer

from tsukiji.cli.options import Timeout
from tsukiji.cli.output import AsJson, note, print_fields, print_json
from tsukiji.cli.report import note_warnings, print_leakage, print_metrics
from tsukiji.cli.waiting import wait
from tsukiji.client import Client, Training


def train(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Id or name of a data set.")],
    preset: Annotated[
        str | None, typer.Option("--preset", help="quick, standard or thorough; standard by default.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="How often each picture is learnt from; 10 by default, 20 in quick.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option("--image-size", help="Pixels on each side of what the network sees; 224 by default.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Pictures in one step; 64 by default.")] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate", help="Peak of one cycle; 0.001 by default; thorough searches it, quick has none."
        ),
    ] = None,
    valid_fraction: Annotated[
        float | None, typer.Option("--valid-fraction", help="Share of each label that is held out; 0.3 by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of everything that is drawn; 42 by default.")] = None,
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="One that `tsukiji weights ls` lists; resnet34 by default.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="Which pretrained weights: ra4 for the better ones of resnet34; the backbone's usual ones by default.",
        ),
    ] = None,
    no_pretrained: Annotated[bool, typer.Option("--no-pretrained", help="Start from random weights.")] = False,
    no_flip: Annotated[bool, typer.Option("--no-flip", help="Never mirror: for text, digits, signs.")] = False,
    class_weights: Annotated[
        str | None,
        typer.Option(
            "--class-weights",
            help="balanced: mistakes on rare kinds cost more; none; auto, the default: where kinds are unequal.",
        ),
    ] = None,
    unknown: Annotated[
        str | None,
        typer.Option("--unknown", help='A data set of other things, to measure "none of these" on; none by default.'),
    ] = None,
    resplit: Annotated[bool, typer.Option("--resplit", help="Draw the splits anew.")] = False,
    name: Annotated[str | None, typer.Option("--name", help="The model's name; the data set's by default.")] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start it and return.")] = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Train a model and print how good it is. What is left out is the service's default."""
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
        "flip": False if no_flip else None,
    }
    with Client() as client:
        job = client.trainings.create(dataset, given(recipe), name=name, unknown=unknown, resplit=resplit)
        note(f"training {job.id}")
        if chosen := job.request.get("backbone_choice"):
            note(f"backbone {chosen}")
        if no_wait:
            show_started(job, as_json)
        else:
            show_result(wait(job, timeout), as_json)


def given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def show_started(job: Training, as_json: bool) -> None:
    if as_json:
        print_json(job)
    else:
        print_fields({"training": job.id, "status": job.status})


def show_result(job: Training, as_json: bool) -> None:
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
    print_fields({"model": result.get("model_id"), "weights": result.get("weights_source")})
    evaluation = job.evaluation
    if evaluation:
        note_warnings(evaluation)
        print_leakage(evaluation.leakage)
        print_metrics(evaluation.metrics)
    if count := result.get("suspected_labels"):
        note(f"{count} labels may be wrong: `tsukiji models suspects {result.get('model_id')}` lists them")
