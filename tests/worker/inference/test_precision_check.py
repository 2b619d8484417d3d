"""A lower precision only where the model's own validation images agree."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from db import registry
from db.models import Evaluation, Model
from tests.worker.conftest import picture
from tests.worker.inference.test_batch_inference import with_inference
from tsukiji.ids import new_id
from tsukiji.types.execution import Execution
from tsukiji.vision import package
from tsukiji.vision.engines import selection
from worker.inference import precision_check
from worker.inference.model_cache import ModelCache


@pytest.fixture
def held_out(services, model, tmp_path):
    """Give the model's own evaluation this many pictures."""

    def add(count, missing=0):
        blobs = []
        for number in range(count):
            path = tmp_path / "picture.png"
            picture(number).save(path)
            blobs.append(services.store.put(path))
        for blob in blobs[:missing]:
            services.store.delete(blob.sha256)
        evaluation = Evaluation(id=new_id("evl"), model_id=model.id, split="valid", metrics={}, errored=0)
        items = [
            {
                "seq": seq,
                "name": f"{seq}.png",
                "sha256": blob.sha256,
                "true_label": "red",
                "predicted_label": "red",
                "score": 1.0,
                "loss": 0.0,
                "probabilities": b"",
            }
            for seq, blob in enumerate(blobs)
        ]
        with services.database.transaction() as session:
            registry.add_evaluation(session, evaluation, items)

    with_inference(services, precision="bfloat16", device="cpu")
    return add


@pytest.fixture
def agreement(monkeypatch):
    """Let the lowered network agree for this part of the pictures; counts the comparisons."""
    counted = []

    def pretend(part):
        def compare(services, model_id, lowered, exact):
            assert (lowered.plan.precision, exact.plan.precision) == ("bfloat16", "float32")
            counted.append(model_id)
            return {"images": 200, "top1_agreement": part}

        monkeypatch.setattr(precision_check, "compare", compare)
        return counted

    return pretend


def test_a_model_that_agrees_computes_in_it_and_says_so(services, model, held_out):
    held_out(24)
    loaded = ModelCache(services).get(model.id)
    assert loaded.predictor.plan.precision == "bfloat16"
    assert loaded.engine["precision"] == "bfloat16"
    assert loaded.engine["parity"] == {"precision": "bfloat16", "images": 24, "top1_agreement": 1.0}


@pytest.mark.parametrize(("part", "precision"), [(0.995, "bfloat16"), (0.994, "float32")])
def test_half_a_percent_may_differ(services, model, held_out, agreement, part, precision):
    agreement(part)
    loaded = ModelCache(services).get(model.id)
    assert loaded.predictor.plan.precision == precision
    assert loaded.engine["parity"]["top1_agreement"] == part


def test_it_is_asked_once(services, model, held_out, agreement):
    counted = agreement(1.0)
    for _ in range(2):
        ModelCache(services).get(model.id)
    assert counted == [model.id]


def test_few_images_say_nothing(services, model, held_out):
    held_out(24, missing=5)
    loaded = ModelCache(services).get(model.id)
    assert loaded.predictor.plan.precision == "float32"
    assert loaded.engine["parity"]["images"] == 19


@pytest.mark.skipif(
    ("openvino", "bfloat16") not in selection.abilities(torch.device("cpu"), "openvino"),
    reason="this processor does not multiply bfloat16",
)
def test_openvino_is_compared_too(services, model, held_out):
    held_out(24)
    with_inference(services, engine="openvino")
    loaded = ModelCache(services).get(model.id)
    assert (loaded.engine["engine"], loaded.engine["precision"]) == ("openvino", "bfloat16")
    assert loaded.engine["parity"]["images"] == 24
    assert loaded.engine["evaluated"] is None, "an earlier version did not say"


@pytest.fixture
def told(services, package_folder, tmp_path):
    """Return a function that registers the model of a package that says how it was evaluated."""

    def register(engine, precision):
        folder = shutil.copytree(package_folder, tmp_path / "told")
        execution = Execution(engine=engine, precision=precision)
        package.write_part(folder, package.CALIBRATION, package.Calibration(execution=execution))
        package.seal(folder, model_id="mdl_told", created=datetime.now(UTC), versions={})
        files = {path.name: services.store.put(path) for path in folder.iterdir()}
        row = Model(id="mdl_told", name="told", backbone="resnet18", label_names=["blue", "red"], recipe={}, bytes=1)
        with services.database.transaction() as session:
            registry.add_model(session, row, {name: (blob.sha256, blob.size) for name, blob in files.items()})
        return "mdl_told"

    return register


@pytest.mark.parametrize("execution", [("openvino", "float32"), ("openvino", "bfloat16"), ("torch", "float32")])
def test_a_model_computes_as_it_was_evaluated_without_being_compared(services, told, monkeypatch, execution):
    monkeypatch.setattr(precision_check, "compare", lambda *_: pytest.fail("it was evaluated so"))
    monkeypatch.setattr(selection, "abilities", lambda *_: [execution])
    with_inference(services, engine="auto", device="cpu")
    loaded = ModelCache(services).get(told(*execution))
    assert (loaded.engine["engine"], loaded.engine["precision"]) == execution
    assert loaded.predictor.predict([picture(0)]).shape == (1, 2)


def test_a_machine_that_cannot_says_so(services, told):
    with_inference(services, engine="torch", device="cpu", precision="float32")
    loaded = ModelCache(services).get(told("openvino", "int8"))
    assert (loaded.engine["engine"], loaded.engine["precision"]) == ("torch", "float32")
    assert loaded.engine["evaluated"] == {"engine": "openvino", "precision": "int8"}


def test_float32_asks_nobody(services, model, held_out, agreement):
    counted = agreement(0.0)
    with_inference(services, precision="float32")
    assert "parity" not in ModelCache(services).get(model.id).engine
    assert counted == []


def test_agreement_is_that_of_the_likeliest_labels(services, model, held_out):
    held_out(24)
    loaded = ModelCache(services).get(model.id)
    other = ModelCache(services).get(model.id).predictor
    assert precision_check.compare(services, model.id, loaded.predictor, other)["top1_agreement"] == 1.0
    predictor = loaded.predictor
    pictures = [picture(number) for number in range(24)]
    labels = predictor.predict(pictures).argmax(1)
    predictor.model.head[8].weight.data = predictor.model.head[8].weight.data.flip(0)
    assert precision_check.compare(services, model.id, predictor, other)["top1_agreement"] == 0.0
    assert np.array_equal(other.predict(pictures).argmax(1), labels)
    assert replace(predictor.plan, precision="float32") != predictor.plan


def test_nothing_that_is_no_number_agrees(services, model, held_out):
    held_out(24)
    loaded, other = (ModelCache(services).get(model.id).predictor for _ in range(2))
    for predictor in (loaded, other):
        predictor.model.head[8].weight.data[:] = float("nan")
    assert precision_check.compare(services, model.id, loaded, other) == {"images": 24, "top1_agreement": 0.0}
