"""`tsukiji demo`: the main job from pictures to labels, on a service that lives as long as the demo."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from tsukiji.cli.classify import likeliest, verdict
from tsukiji.cli.embedded import service
from tsukiji.cli.imports import report_rejected, upload
from tsukiji.cli.outcomes import ExitCode
from tsukiji.cli.output import ERR, AsJson, note, print_json, print_table
from tsukiji.cli.programs import programs_folder
from tsukiji.cli.report import labelled, print_metrics
from tsukiji.cli.waiting import follow
from tsukiji.client import Batch, Client, Dataset, Evaluation, Training
from tsukiji.types import Recipe

AGREEMENT: Final = 0.99
SHOWN: Final = 5
WORST: Final = 3
OUTPUT: Final = Path("demo-output")
ALIAS: Final = "production"
WORKER_SECONDS: Final = 60
POLL_SECONDS: Final = 0.2
LEVELS: Final = "▁▂▃▄▅▆▇█"

QUICK: Final = Recipe(preset="quick", backbone="auto")
THOROUGH: Final = Recipe(preset="thorough", backbone="auto", epochs=5)
DIGITS: Final = {"flip": False, "image_size": 48}
"""Digits must not be mirrored, and have no detail that more pixels would show."""
DIGITS_QUICK: Final = QUICK.model_copy(update=DIGITS)
DIGITS_THOROUGH: Final = THOROUGH.model_copy(update=DIGITS | {"epochs": 9, "batch_size": 32, "learning_rate": 0.04})
"""Line drawings are far from ImageNet's photographs, so the network has more to learn, and the rate is higher."""
ORIGINAL: Final = Recipe(backbone="resnet34", epochs=10)
"""The recipe of the notebooks that Tsukiji grew from."""


def demo(
    data: Annotated[
        Path | None,
        typer.Option("--data", exists=True, file_okay=False, help="Your own class folders; digits by default."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", help="Folder for the model and the picture of the confusion matrix.")
    ] = OUTPUT,
    original: Annotated[
        bool, typer.Option("--original", help="Train like the original notebooks: resnet34, last layer, ten epochs.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the service's data folder.")] = False,
    _as_json: AsJson = False,
) -> None:
    """Run the whole workflow, from pictures to labels; the last line is one JSON object.

    Starts its own service and stops it again. Without --data the pictures are scikit-learn's handwritten digits.
    """
    began = time.monotonic()
    with workplace(keep) as folder:
        pictures = data.absolute() if data else write_digits(folder / "digits")
        recipes = [QUICK, THOROUGH] if data else [DIGITS_QUICK, DIGITS_THOROUGH]
        if original:
            recipes = [ORIGINAL.model_copy(update={"flip": data is not None})]
        note("starting the service")
        with service(folder) as client:
            figures = main_job(client, pictures, recipes, output)
    print_json({**figures, "seconds": round(time.monotonic() - began, 1)})
    if figures["batch_agreement"] < AGREEMENT:
        note("the batch and the evaluation do not agree", style="red")
        raise typer.Exit(ExitCode.OTHER)


def main_job(client: Client, pictures: Path, recipes: Sequence[Recipe], output: Path) -> dict[str, Any]:
    """Upload, train by each recipe, compare, classify with the better model; return the figures of the last line."""
    dataset = fill(client, pictures)
    wait_for_weights(client)
    trained = [train(client, dataset, recipe) for recipe in recipes]
    training, evaluation = better(client, trained)
    client.aliases.set(ALIAS, evaluation.model_id)
    note(f"the alias {ALIAS} names the model of the preset {training.request['recipe']['preset']}")
    print_metrics(evaluation.metrics, ERR)
    show_worst(evaluation, pictures)
    save_model(client, evaluation, output)
    job = classify(client, dataset)
    show_some(job)
    show_strangers(client)
    recipe = training.request["recipe"]
    return {
        "accuracy": evaluation.metrics.accuracy,
        "quick_accuracy": trained[0][1].metrics.accuracy if len(trained) > 1 else None,
        "backbone": recipe["backbone"],
        "classes": len(evaluation.metrics.label_names),
        "train_images": train_images(dataset, evaluation),
        "valid_images": evaluation.metrics.images,
        "batch_images": job.counts.total if job.counts else 0,
        "batch_agreement": agreement(job, evaluation),
        "pretrained": bool(recipe["pretrained"]),
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
        [sys.executable, "-m", "training.digits", str(folder)],
        cwd=programs_folder(),
        check=True,
        stdout=sys.stderr.fileno(),
    )
    return folder


def fill(client: Client, pictures: Path) -> Dataset:
    dataset = client.datasets.create("demo")
    result = upload(dataset, pictures)
    note(f"{result.accepted} pictures uploaded, {result.duplicates} duplicates, {result.rejected} rejected")
    report_rejected(result.files)
    print_table(["label", "images"], [[row.label, row.images] for row in dataset.classes], ERR)
    return dataset


def wait_for_weights(client: Client) -> None:
    """Wait until the new worker has said which weights it can have, as `auto` depends on it."""
    deadline = time.monotonic() + WORKER_SECONDS
    while time.monotonic() < deadline:
        if any(worker.queue == "train" and worker.weights is not None for worker in client.info().workers):
            return
        time.sleep(POLL_SECONDS)


def train(client: Client, dataset: Dataset, recipe: Recipe) -> tuple[Training, Evaluation]:
    note(f"training: preset {recipe.preset}")
    job = client.trainings.create(dataset, recipe)
    if chosen := job.request.get("backbone_choice"):
        note(f"backbone {chosen}")
    follow(job)
    job.raise_for_status()
    evaluation = job.evaluation
    if evaluation is None:
        raise OSError(f"training {job.id} has no evaluation")
    note(f"ImageNet weights of {job.request['recipe']['backbone']}: {(job.result or {}).get('weights_source')}")
    epochs = [epoch.accuracy for epoch in job.metrics()]
    note(f"accuracy by epoch {curve(epochs)} up to {max(epochs, default=0):.1%}")
    return job, evaluation


def curve(values: Sequence[float]) -> str:
    """Draw values in one line, the lowest as the lowest bar."""
    low, high = min(values, default=0), max(values, default=0)
    steps = [(value - low) / ((high - low) or 1) * (len(LEVELS) - 1) for value in values]
    return "".join(LEVELS[round(step)] for step in steps)


def better(client: Client, trained: Sequence[tuple[Training, Evaluation]]) -> tuple[Training, Evaluation]:
    """Compare two models on the same held-out pictures, and return the better one; of equals the first."""
    if len(trained) == 1:
        return trained[0]
    (_, first), (_, second) = trained
    found = client.evaluations.compare(first, second)
    note(f"B, the preset {trained[1][0].request['recipe']['preset']}, on the same pictures: {found.summary}")
    return trained[found.difference > 0]


def show_worst(evaluation: Evaluation, pictures: Path) -> None:
    """Name the worst mistakes, and show them where the terminal has the colours for it."""
    items = [item for item in islice(evaluation.items(order="loss"), WORST) if item.predicted_label != item.true_label]
    if not items:
        note("no held-out picture was labelled wrongly")
        return
    rows = [[item.name, item.true_label, item.predicted_label, item.score] for item in items]
    print_table(["worst mistakes", "true label", "taken for", "probability"], rows, ERR)
    files = [file for item in items if (file := pictures / item.name).is_file()]
    if files and ERR.is_terminal and ERR.color_system == "truecolor":
        drawer = [sys.executable, "-m", "tsukiji.vision.terminal_images", *map(str, files)]
        drawn = subprocess.run(drawer, check=False, capture_output=True, text=True).stdout
        ERR.print(Text.from_ansi(drawn))


def save_model(client: Client, evaluation: Evaluation, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    picture = output / "confusion.png"
    picture.write_bytes(evaluation.confusion_png())
    note(f"the confusion matrix as a picture: {picture}")
    note(f"the model: {client.models.download(evaluation.model_id, output / 'model.zip')}")


def classify(client: Client, dataset: Dataset) -> Batch:
    """Submit the held-out pictures as one batch."""
    job = follow(client.batches.create(model=ALIAS, dataset=dataset, split="valid"))
    job.raise_for_status()
    return job


def show_some(job: Batch) -> None:
    rows = [[found.custom_id, found.true_label, likeliest(found.scores)] for found in islice(job.results(), SHOWN)]
    print_table(["picture", "true label", "likeliest"], rows, ERR)


def show_strangers(client: Client) -> None:
    """Show what the model says of pictures of other things: scikit-learn's two photographs."""
    found = client.predict(photographs(), ALIAS)
    rows = [[answer.custom_id, verdict(answer), answer.known_score, likeliest(answer.scores)] for answer in found]
    print_table(["picture of something else", "decision", "known score", "likeliest"], rows, ERR)


def photographs() -> list[Path]:
    """Return scikit-learn's sample photographs, a temple and a flower, without importing it."""
    spec = find_spec("sklearn")
    folders = (spec and spec.submodule_search_locations) or ()
    return [path for folder in folders for path in sorted(Path(folder).glob("datasets/images/*.jpg"))]


def agreement(job: Batch, evaluation: Evaluation) -> float:
    """Return the part of the evaluation's pictures that the batch gave the same label."""
    by_batch = {found.image.sha256: found.label for found in job.results()}
    same = [by_batch.get(item.sha256) == item.predicted_label for item in evaluation.items()]
    return sum(same) / len(same)


def train_images(dataset: Dataset, evaluation: Evaluation) -> int:
    """Count what was trained on: all that has a label and was not held out."""
    with_label = sum(row.images for row in labelled(dataset))
    return with_label - evaluation.metrics.images - dataset.splits.get("test", 0)
