"""From a data set whose images have several labels to a model, its answers, and what they are worth elsewhere."""

import json
import shutil

import numpy as np
import pytest

from db import registry
from db.curation import datasets
from db.models import Dataset, Image, Model
from db.paging import Window
from tests.worker.conftest import RECIPE, work
from tests.worker.jobs.test_batches import results, run_chunks
from tsukiji.ids import new_id
from tsukiji.jobs import JobKind
from tsukiji.labels import join_labels, split_labels
from tsukiji.vision import package
from tsukiji.vision.predictor import Predictor
from worker.inference import precision_check
from worker.inference.model_cache import ModelCache
from worker.jobs import evaluations, trainings
from worker.jobs.batches import plan
from worker.jobs.imports import run as run_import

NAMES = ["blue", "red"]


@pytest.fixture
def dataset_id(services, submit, pets):
    """24 images: the first is unlabelled, the next four have both labels, four more none, the others one."""
    imported = submit.import_zip(pets)
    work(services, imported.id, run_import)
    with services.database.transaction() as session:
        session.get(Dataset, imported.dataset_id).kind = "multi_label"
        for number, image in enumerate(datasets.labelled_images(session, imported.dataset_id)):
            labels = NAMES if number in range(1, 10, 2) else [] if number in range(2, 10, 2) else [image.label]
            session.get(Image, image.id).label = None if number == 0 else join_labels(labels)
    return imported.dataset_id


@pytest.fixture
def model(services, package_folder, tmp_path):
    """A registered model of several labels."""
    folder = tmp_path / "several"
    shutil.copytree(package_folder, folder)
    config = json.loads((folder / package.CONFIG).read_text()) | {"kind": "multi_label"}
    (folder / package.CONFIG).write_text(json.dumps(config))
    package.write_part(folder, package.CALIBRATION, package.Calibration(thresholds=[0.4, 0.6]))
    package.seal(folder, model_id="mdl_test", created="2026-01-02T00:00:00Z", versions={})
    files = {path.name: services.store.put(path) for path in folder.iterdir()}
    row = Model(
        id=new_id("mdl"), name="pets", kind="multi_label", backbone="resnet18", label_names=NAMES, recipe={}, bytes=1
    )
    with services.database.transaction() as session:
        registry.add_model(session, row, {name: (blob.sha256, blob.size) for name, blob in files.items()})
    return row


def classified(services, submit, model, dataset_id, **request):
    source = {"type": "dataset", "dataset": dataset_id, "split": None}
    told = {"model": model.id, "kind": model.kind, "label_names": NAMES, "top_k": 3, "threshold": 0, "input": source}
    job = submit.job(JobKind.BATCH, request=told | request, model_id=model.id, dataset_id=dataset_id)
    work(services, job.id, plan)
    run_chunks(services, ModelCache(services))
    assert submit.find(job).status == "succeeded"
    return results(services, job)


def test_a_training_makes_a_model_of_several_labels(services, submit, dataset_id):
    waiting = submit.training(dataset_id, RECIPE.model_copy(update={"epochs": 1}))
    with services.database.transaction() as session:
        row = session.merge(waiting)
        row.request = row.request | {"kind": "multi_label"}
    work(services, waiting.id, trainings.run)
    ended = submit.find(waiting)
    assert (ended.status, ended.error) == ("succeeded", None)
    with services.database.reading() as session:
        model = registry.find_model(session, ended.result["model_id"])
        evaluation = registry.find_evaluation(session, ended.result["evaluation_id"])
        items = registry.page_evaluation_items(session, evaluation.id, Window(100)).data
    assert (model.kind, model.label_names) == ("multi_label", NAMES)
    several = evaluation.metrics["multi_label"]
    assert ended.result["mean_average_precision"] == several["mean_average_precision"]
    right = sum(item.true_label == item.predicted_label for item in items)
    assert right / len(items) == pytest.approx(model.accuracy)
    assert {item.true_label for item in items} <= {join_labels(labels) for labels in ([], ["blue"], ["red"], NAMES)}


def test_a_batch_keeps_the_set_that_the_models_thresholds_decide(services, submit, model, dataset_id):
    rows = classified(services, submit, model, dataset_id)
    assert len(rows) == 24
    for row in rows:
        shares = np.frombuffer(row.probabilities, "<f4")
        reached = [name for name, share, least in zip(NAMES, shares, [0.4, 0.6], strict=True) if share >= least]
        assert split_labels(row.labels) == reached
        assert row.label == NAMES[int(shares.argmax())]
    assert abs(sum(shares) - 1) > 1e-3, "each probability is of its own"


def test_the_request_may_set_one_threshold_for_all(services, submit, model, dataset_id):
    sure = classified(services, submit, model, dataset_id, threshold=0.999999)
    assert {row.labels for row in sure} == {join_labels([])}


def test_it_is_measured_by_sets(services, submit, model, dataset_id):
    source = {"type": "dataset", "dataset": dataset_id, "split": None}
    request = {"model": model.id, "kind": "multi_label", "label_names": NAMES, "input": source}
    job = submit.job(JobKind.EVALUATION, request=request, model_id=model.id, dataset_id=dataset_id, unit="images")
    work(services, job.id, evaluations.run)
    run_chunks(services, ModelCache(services))
    work(services, job.id, evaluations.run)
    ended = submit.find(job)
    assert (ended.status, ended.error) == ("succeeded", None)
    with services.database.reading() as session:
        evaluation = registry.find_evaluation(session, ended.result["evaluation_id"])
        items = registry.page_evaluation_items(session, evaluation.id, Window(100)).data
    assert evaluation.metrics["images"] == len(items) == 23, "the unlabelled one is left out, those with no label not"
    assert [row["threshold"] for row in evaluation.metrics["multi_label"]["per_label"]] == [0.4, 0.6]
    assert evaluation.metrics["multi_label"]["empty"] == 4
    right = sum(item.true_label == item.predicted_label for item in items)
    assert evaluation.metrics["accuracy"] == pytest.approx(right / 23)


def test_a_model_of_one_label_is_not_measured_on_sets(services, submit, model, dataset_id):
    source = {"type": "dataset", "dataset": dataset_id, "split": None}
    request = {"model": model.id, "label_names": NAMES, "input": source}
    job = submit.job(JobKind.EVALUATION, request=request, model_id=model.id, dataset_id=dataset_id, unit="images")
    work(services, job.id, evaluations.run)
    assert submit.find(job).error["code"] == "kind_mismatch"


def test_precisions_agree_where_whole_sets_do(services, model, monkeypatch):
    exact = ModelCache(services).get(model.id).predictor
    pictures = [np.full((32, 32, 3), shade, np.uint8) for shade in (0, 90, 200, 255)]
    monkeypatch.setattr(precision_check, "validation_images", lambda *_: iter([pictures]))
    monkeypatch.setattr(exact.preprocess.__class__, "to_pixels", lambda _, images: np.stack(images))
    assert precision_check.compare(services, model.id, exact, exact) == {"images": 4, "top1_agreement": 1.0}
    verdicts = iter([np.array([[1, 0]] * 4, bool), np.array([[1, 0], [1, 1], [1, 0], [0, 0]], bool)])
    monkeypatch.setattr(Predictor, "verdicts", lambda *_: next(verdicts))
    assert precision_check.compare(services, model.id, exact, exact)["top1_agreement"] == 0.5
