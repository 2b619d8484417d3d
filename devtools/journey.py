"""The main job through the public client, on any service: pictures, training, evaluation, batch."""

import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tsukiji import Batch, Client, Dataset, Evaluation, Model, Training

COLOURS = {"sea": (30, 70, 160), "sun": (220, 160, 40)}
PICTURES_PER_CLASS = 12
RECIPE = {"backbone": "resnet18", "epochs": 1, "image_size": 32, "batch_size": 8, "pretrained": False}
JOB_SECONDS = 300


@dataclass(frozen=True)
class Journey:
    """Its results."""

    dataset: Dataset
    training: Training
    model: Model
    evaluation: Evaluation
    batch: Batch


def run_journey(client: Client, folder: Path, name: str = "journey") -> Journey:
    """Do the main job on generated pictures, which are written to `folder`, and assert what a user would notice.

    Args:
        client: knows the service and has a key that it takes.
        folder: an existing, empty folder.
        name: the data set's name; the service must not have it yet.
    """
    dataset = fill(client, write_pictures(folder), name)
    training = train(client, dataset)
    model, evaluation = look_at_result(training)
    batch = classify(client, dataset, evaluation)
    predict_one(client, model, next(folder.rglob("*.png")))
    return Journey(dataset, training, model, evaluation, batch)


def write_pictures(folder: Path, count: int = PICTURES_PER_CLASS) -> Path:
    """Write one folder of `count` pictures per class: a colour each, under noise, no two alike; 40 x 40 pixels."""
    noise = random.Random(7)
    for label, colour in COLOURS.items():
        (folder / label).mkdir()
        plain = Image.new("RGB", (40, 40), colour)
        for number in range(count):
            grain = Image.frombytes("RGB", plain.size, noise.randbytes(3 * plain.width * plain.height))
            Image.blend(plain, grain, 0.3).save(folder / label / f"{number:02}.png")
    return folder


def fill(client: Client, folder: Path, name: str) -> Dataset:
    dataset = client.datasets.create(name)
    sent = dataset.upload(folder)
    assert (sent.accepted, sent.duplicates, sent.rejected) == (len(COLOURS) * PICTURES_PER_CLASS, 0, 0)
    assert {row.label: row.images for row in dataset.classes} == dict.fromkeys(COLOURS, PICTURES_PER_CLASS)
    return dataset


def train(client: Client, dataset: Dataset) -> Training:
    training = client.trainings.create(dataset, RECIPE)
    assert not training.done
    training.wait(JOB_SECONDS)
    assert training.status == "succeeded"
    assert training.progress.fraction == 1
    assert [row.epoch for row in training.metrics()] == [1]
    return training


def look_at_result(training: Training) -> tuple[Model, Evaluation]:
    model, evaluation = training.model, training.evaluation
    assert model is not None
    assert evaluation is not None
    assert model.label_names == sorted(COLOURS)
    assert not model.pretrained
    metrics = evaluation.metrics
    assert 0 < metrics.images < len(COLOURS) * PICTURES_PER_CLASS
    assert {row.label for row in metrics.per_class if row.support} == set(COLOURS), "held out from every class"
    assert sum(map(sum, metrics.confusion)) == metrics.images
    right = sum(metrics.confusion[index][index] for index in range(len(COLOURS)))
    assert abs(metrics.accuracy - right / metrics.images) < 1e-6
    return model, evaluation


def classify(client: Client, dataset: Dataset, evaluation: Evaluation) -> Batch:
    """Classify what the training held out: the batch has to say what the evaluation says of the same pictures."""
    batch = client.batches.create(model=evaluation.model_id, dataset=dataset, split="valid", top_k=2).wait(JOB_SECONDS)
    assert batch.counts is not None
    assert (batch.counts.succeeded, batch.counts.errored) == (evaluation.metrics.images, 0)
    results = {result.image.sha256: result for result in batch.results()}
    items = list(evaluation.items())
    assert results.keys() == {item.sha256 for item in items}
    for item in items:
        result = results[item.sha256]
        assert result.true_label == item.true_label
        assert result.scores[0].label == result.label
        assert abs(sum(score.score for score in result.scores) - 1) < 1e-3
        same = {score.label: score.score for score in result.scores}[item.predicted_label]
        assert abs(same - item.score) < 1e-3, "training and serving see the same pixels"
    return batch


def predict_one(client: Client, model: Model, picture: Path) -> None:
    """Ask for one picture by an alias, as a program would."""
    client.aliases.set("production", model)
    prediction = client.predict(picture, "production", top_k=2)
    assert prediction.status == "succeeded"
    assert {score.label for score in prediction.scores} == set(COLOURS)
