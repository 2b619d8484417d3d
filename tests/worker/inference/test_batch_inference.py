"""A chunk in streams: each picture once, whatever the number of streams; features are kept and shared."""

import io

import numpy as np
import pytest
import torch

from db import registry
from db.jobs import drift, jobs
from db.models import Model
from db.paging import Window
from db.predictions import results as read
from tests.worker.conftest import picture, work
from tests.worker.jobs.test_batches import results, run_chunks, submit_zip
from tsukiji.ids import new_id
from tsukiji.vision.decoding.decode import DecodeLimits, decode
from tsukiji.vision.drift import Distribution, fourier_features, histogram
from tsukiji.vision.model import Classifier
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.preprocess import Preprocess
from worker.inference import batch_inference
from worker.inference.model_cache import ModelCache
from worker.jobs.batches import plan


def with_inference(services, **changes):
    options = services.settings.inference.model_copy(update=changes)
    services.settings = services.settings.model_copy(update={"inference": options})


@pytest.fixture
def seen(monkeypatch):
    """How many pictures each forward pass had."""
    look, sizes = Classifier.look, []

    def count(model, images):
        sizes.append(len(images))
        return look(model, images)

    monkeypatch.setattr(Classifier, "look", count)
    return sizes


def classify(services, submit, model, models, archive, files):
    job = submit_zip(services, submit, model, archive(files))
    work(services, job.id, plan)
    run_chunks(services, models)
    assert submit.find(job).status == "succeeded"
    return job


def shares(services, job):
    return np.stack([np.frombuffer(row.probabilities, "<f4") for row in results(services, job) if row.probabilities])


@pytest.mark.parametrize("options", [{"streams": 1}, {"streams": 3}, {"streams": 2, "batch_size": 1}, {"threads": 2}])
def test_answers_do_not_depend_on_the_streams(services, submit, model, archive, options):
    files = {f"{number}.png": number for number in range(9)} | {"bad.jpg": b"no"}
    expected = shares(services, classify(services, submit, model, ModelCache(services), archive, files))
    with_inference(services, features_mb=0, **options)
    job = classify(services, submit, model, ModelCache(services), archive, files)
    assert np.allclose(shares(services, job), expected, atol=2e-3)
    assert [row.custom_id for row in results(services, job)] == list(files)


def test_what_was_chosen_is_on_the_job(services, submit, model, models, archive):
    job = classify(services, submit, model, models, archive, {"1.png": 1})
    engine = submit.find(job).engine
    assert engine["device"] == models.get(model.id).predictor.plan.device
    assert engine["precision"] == "float32", "a model without validation images computes as it was trained"
    assert {"streams", "threads", "batch_size", "folded", "channels_last", "compiled"} <= engine.keys()


def test_a_picture_is_looked_at_once_and_never_again(services, submit, model, models, archive, seen):
    first = classify(services, submit, model, models, archive, {"1.png": 1, "2.png": 2, "again.png": 1})
    assert sum(seen) == 2
    second = classify(services, submit, model, models, archive, {"2.png": 2, "3.png": 3, "1.png": 1})
    assert sum(seen) == 3
    ours, theirs = shares(services, first), shares(services, second)
    assert np.array_equal(ours[[1, 0]], theirs[[0, 2]])
    rows = results(services, second)
    assert [(row.width, row.height) for row in rows] == [(24, 24)] * 3


def test_each_picture_is_counted_as_often_as_it_occurs_and_an_unreadable_one_is_not(
    services, submit, model, models, archive
):
    files = {f"{number}.png": number for number in range(6)} | {"again.png": 1, "bad.jpg": b"no"}
    job = classify(services, submit, model, models, archive, files)
    with services.database.reading() as session:
        found = Distribution.from_bytes(drift.of_batch(session, job.id).distribution)
    rows = [row for row in results(services, job) if row.label]
    assert (found.images, len(rows)) == (7, 7)
    assert found.labels.tolist() == [sum(row.label == name for row in rows) for name in model.label_names]
    assert found.scores.tolist() == histogram(np.array([row.score for row in rows])).tolist()
    predictor = models.get(model.id).predictor
    embeddings = predictor.embed([picture(number) for number in [0, 1, 2, 3, 4, 5, 1]])
    features = fourier_features(embeddings, predictor.model.num_middle)
    assert np.allclose(found.features, features.sum(axis=0), atol=0.05)


def test_another_model_of_the_same_backbone_computes_only_its_head(
    services, submit, model, models, archive, seen, package_folder
):
    files = {f"{number}.png": number for number in range(5)}
    classify(services, submit, model, models, archive, files)
    done = sum(seen)
    predictor = models.get(model.id).predictor
    with torch.inference_mode():
        predictor.model.head[8].weight.neg_()
    job = classify(services, submit, model, models, archive, files)
    assert sum(seen) == done
    computed = predictor.predict([picture(number) for number in range(5)])
    assert np.allclose(shares(services, job), computed, atol=1e-6)


def test_what_a_training_kept_is_not_computed_again(services, submit, model, models, archive, seen):
    files = {"1.png": 1, "2.png": 2}
    first = classify(services, submit, model, models, archive, files)
    kept = batch_inference.feature_cache_of(services, models.get(model.id).predictor)
    rows = kept.read(
        [row.sha256 for row in results(services, first)], 0, models.get(model.id).predictor.model.num_embedded
    )
    kept.write(rows, 0)  # as trainings do: without sizes
    second = classify(services, submit, model, models, archive, files)
    assert sum(seen) == 2
    assert [(row.width, row.height) for row in results(services, second)] == [(24, 24)] * 2


def test_without_room_for_features_all_is_computed(services, submit, model, archive, seen):
    with_inference(services, features_mb=0)
    models = ModelCache(services)
    for _ in range(2):
        classify(services, submit, model, models, archive, {"1.png": 1})
    assert sum(seen) == 2
    assert not (services.settings.cache_dir / "features.db").exists()


def test_an_error_in_one_stream_ends_all(services, submit, model, models, archive, monkeypatch):
    job = submit_zip(services, submit, model, archive({f"{number}.png": number for number in range(4)}))
    work(services, job.id, plan)
    real = services.store.read

    def fail(sha256):
        raise ValueError(sha256)

    monkeypatch.setattr(services.store, "read", fail)
    run_chunks(services, models)
    with services.database.reading() as session:
        assert jobs.find(session, job.id).items_succeeded == 0
        assert read.page(session, job.id, Window(10))[0][0].label is None
    monkeypatch.setattr(services.store, "read", real)


def test_memory_bounds_how_many_models_stay_warm(services, model, archive):
    models = ModelCache(services)
    models.get(model.id)
    assert models.warm(model.id) is not None
    with_inference(services, models_mb=1)
    with services.database.transaction() as session:
        other = copy_of(session, services, model)
    models.get(other)
    assert models.warm(other) is not None, "one stays in any case"
    assert models.warm(model.id) is None


def copy_of(session, services, model):
    files = {file.name: (file.sha256, file.bytes) for file in registry.model_files(session, model.id)}
    row = Model(
        id=new_id("mdl"),
        name="other",
        backbone=model.backbone,
        label_names=model.label_names,
        recipe={},
        accuracy=None,
        bytes=1,
    )
    registry.add_model(session, row, files)
    return row.id


def break_first(monkeypatch, value=float("nan")):
    """Let the network say `value` of the first picture of each pass."""
    decide = Predictor.decide

    def broken(predictor, embeddings):
        logits = decide(predictor, embeddings).copy()
        logits[0] = value
        return logits

    monkeypatch.setattr(Predictor, "decide", broken)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_answer_that_is_no_number_is_an_error_of_its_picture(
    services, models, submit, model, archive, monkeypatch, value
):
    break_first(monkeypatch, value)
    job = classify(services, submit, model, models, archive, {f"{number}.png": number for number in range(3)})
    first, *others = results(services, job)
    assert (first.error["code"], first.label, first.score, first.probabilities) == (
        "output_not_finite",
        None,
        None,
        None,
    )
    assert all(row.error is None and row.label for row in others)
    found = submit.find(job)
    assert (found.items_succeeded, found.items_errored) == (2, 1)


def test_a_network_that_says_nothing_of_all_pictures_fails_its_batch(
    services, models, submit, model, archive, monkeypatch
):
    monkeypatch.setattr(Predictor, "decide", lambda self, rows: np.full((len(rows), 2), np.nan, np.float32))
    job = submit_zip(services, submit, model, archive({"1.png": 1, "2.png": 2}))
    work(services, job.id, plan)
    run_chunks(services, models)
    assert submit.find(job).status == "failed"


def test_features_that_are_no_numbers_are_not_kept(services, submit, model, archive, monkeypatch):
    real = Predictor.embed_pixels
    monkeypatch.setattr(Predictor, "embed_pixels", lambda self, pixels: real(self, pixels) * np.float32("nan"))
    files = {"1.png": 1}
    job = submit_zip(services, submit, model, archive(files))
    work(services, job.id, plan)
    run_chunks(services, ModelCache(services))
    assert results(services, job)[0].error["code"] == "output_not_finite"
    monkeypatch.undo()
    again = classify(services, submit, model, ModelCache(services), archive, files)
    assert results(services, again)[0].error is None


def test_pictures_wait_as_small_as_the_network_sees_them():
    buffer, preprocess = io.BytesIO(), Preprocess(size=32)
    picture(3).resize((900, 500)).save(buffer, "PNG")
    data = buffer.getvalue()
    found = batch_inference.look_at(data, DecodeLimits(), preprocess)
    assert (found.width, found.height) == (900, 500)
    assert np.array_equal(found.pixels, preprocess.to_pixels([decode(data)]))


def test_a_model_in_memory_leaves_no_copy_on_the_disk(services, submit, model, archive):
    models = ModelCache(services)
    models.get(model.id)
    assert not [path for path in services.settings.cache_dir.rglob("*") if path.is_file() and "models-" in str(path)]
    classify(services, submit, model, models, archive, {"1.png": 1})
