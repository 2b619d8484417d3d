"""`tsukiji demo`: the main job from pictures to labels, on a service that lives as long as the demo."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tsukiji.cli.classify import likeliest
from tsukiji.cli.embedded import service
from tsukiji.cli.imports import report_rejected, upload
from tsukiji.cli.outcomes import ExitCode
from tsukiji.cli.output import ERR, AsJson, note, print_json, print_table
from tsukiji.cli.programs import checkout
from tsukiji.cli.report import labelled, print_metrics
from tsukiji.cli.waiting import follow
from tsukiji.client import APIStatusError, Batch, Client, Dataset, Evaluation, JobFailedError, Training
from tsukiji.types import Recipe

AGREEMENT: Final = 0.99
SHOWN: Final = 5
OUTPUT: Final = Path("demo-output")

DIGITS: Final = Recipe(pretrained=False, flip=False, image_size=32, epochs=8, learning_rate=3e-3)
DIGITS_PRETRAINED: Final = Recipe(pretrained=True, flip=False, image_size=64, epochs=10)
OWN: Final = Recipe(pretrained=False)
OWN_PRETRAINED: Final = Recipe(pretrained=True)


def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", exists=True, file_okay=False, help="Class folders of your own; handwritten digits by default."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", help="Where the picture of the confusion matrix goes.")] = OUTPUT,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the service's data folder behind.")] = False,
    _as_json: AsJson = False,
) -> None:
    """Run the main job from pictures to labels; the last line is one JSON object.

    Starts a service of its own and stops it again. Without --data the pictures are scikit-learn's handwritten digits.
    """
    began = time.monotonic()
    with workplace(keep) as folder:
        pictures = data.absolute() if data else write_digits(folder / "digits")
        recipes = (OWN_PRETRAINED, OWN) if data else (DIGITS_PRETRAINED, DIGITS)
        note("starting the service")
        with service(folder) as client:
            figures = main_job(client, pictures, recipes, output)
    print_json({**figures, "seconds": round(time.monotonic() - began, 1)})
    if figures["batch_agreement"] < AGREEMENT:
        note("the batch and the evaluation do not agree", style="red")
        raise typer.Exit(ExitCode.OTHER)


def main_job(client: Client, pictures: Path, recipes: tuple[Recipe, Recipe], output: Path) -> dict[str, Any]:
    """Upload, train, evaluate, classify; return the figures of the last line."""
    dataset = fill(client, pictures)
    training = train(client, dataset, *recipes)
    evaluation = training.evaluation
    if evaluation is None:
        raise OSError(f"training {training.id} has no evaluation")
    print_metrics(evaluation.metrics, ERR)
    save_picture(evaluation, output)
    job = classify(client, dataset, evaluation.model_id)
    show_some(job)
    return {
        "accuracy": evaluation.metrics.accuracy,
        "classes": len(evaluation.metrics.label_names),
        "train_images": train_images(dataset, evaluation),
        "valid_images": evaluation.metrics.images,
        "batch_images": job.counts.total if job.counts else 0,
        "batch_agreement": agreement(job, evaluation),
        "pretrained": bool(training.request["recipe"]["pretrained"]),
    }


@contextmanager
def workplace(keep: bool) -> Iterator[Path]:
    """A folder for everything; with `keep` it stays, and is named."""
    folder = Path(tempfile.mkdtemp(prefix="tsukiji-demo-"))
    try:
        yield folder
    finally:
        if keep:
            note(f"everything is kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def write_digits(folder: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "training.digits", str(folder)], cwd=checkout(), check=True, stdout=sys.stderr.fileno()
    )
    return folder


def fill(client: Client, pictures: Path) -> Dataset:
    dataset = client.datasets.create("demo")
    result = upload(dataset, pictures)
    note(f"{result.accepted} pictures uploaded, {result.duplicates} twice, {result.rejected} rejected")
    report_rejected(result.files)
    print_table(["label", "images"], [[row.label, row.images] for row in dataset.classes], ERR)
    return dataset


def train(client: Client, dataset: Dataset, pretrained: Recipe, from_scratch: Recipe) -> Training:
    """Train from ImageNet weights; where they cannot be had, say so and ask for random weights in so many words."""
    try:
        job = follow(client.trainings.create(dataset, pretrained))
        job.raise_for_status()
    except (APIStatusError, JobFailedError) as error:
        if code_of(error) != "weights_unavailable":
            raise
    else:
        note("ImageNet weights: used")
        return job
    note("ImageNet weights: unreachable here; training from random weights, as this demo asks for")
    job = follow(client.trainings.create(dataset, from_scratch))
    job.raise_for_status()
    return job


def code_of(error: APIStatusError | JobFailedError) -> str | None:
    """Return what went wrong, whether the service refused or the job failed."""
    if isinstance(error, APIStatusError):
        return error.code
    return error.job.error.code if error.job.error else None


def save_picture(evaluation: Evaluation, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    picture = output / "confusion.png"
    picture.write_bytes(evaluation.confusion_png())
    note(f"the confusion matrix as a picture: {picture}")


def classify(client: Client, dataset: Dataset, model_id: str) -> Batch:
    """Submit the held-out pictures as one batch."""
    job = follow(client.batches.create(model=model_id, dataset=dataset, split="valid"))
    job.raise_for_status()
    return job


def show_some(job: Batch) -> None:
    rows = [[found.custom_id, found.true_label, likeliest(found.scores)] for found in islice(job.results(), SHOWN)]
    print_table(["picture", "true label", "likeliest"], rows, ERR)


def agreement(job: Batch, evaluation: Evaluation) -> float:
    """Return the part of the evaluation's pictures that the batch gave the same label."""
    by_batch = {found.image.sha256: found.label for found in job.results()}
    same = [by_batch.get(item.sha256) == item.predicted_label for item in evaluation.items()]
    return sum(same) / len(same)


def train_images(dataset: Dataset, evaluation: Evaluation) -> int:
    """Count what was trained on: all that has a label and was not held out."""
    with_label = sum(row.images for row in labelled(dataset))
    return with_label - evaluation.metrics.images - dataset.splits.get("test", 0)
