import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from sqlalchemy import update

from db import blobs, registry
from db.clock import now
from db.curation import datasets
from db.jobs import drift, jobs, leases
from db.models import Job
from db.paging import Window
from tests.worker.conftest import RECIPE, run_chunks, work
from tsukiji.curation.snapshots import SnapshotItem
from tsukiji.kernel.storage.memory import MemoryStore
from tsukiji.types import Recipe
from tsukiji.vision.drift import Distribution
from tsukiji.vision.predictor import Predictor
from worker.inference.model_cache import ModelCache
from worker.jobs import trainings
from worker.jobs.batches import plan
from worker.jobs.imports import run as run_import
from worker.shutdown import stopping


@pytest.fixture
def dataset_id(services, submit, pets):
    job = submit.import_zip(pets)
    work(services, job.id, run_import)
    return job.dataset_id


def in_thread(services, job):
    thread = threading.Thread(target=work, args=(services, job.id, trainings.run))
    thread.start()
    return thread


def until(condition, thread):
    """Wait for what happens while the thread is at work."""
    while not condition():
        assert thread.is_alive(), "the training ended without it"
        time.sleep(0.02)


def test_the_engine_is_told_of_crops(services, tmp_path):
    blob = services.store.put(b"bytes")
    item = SnapshotItem("img_1", blob.sha256, "1.png", "red", "train", crop=(1, 2, 20, 20))
    lease = SimpleNamespace(check=lambda: None)
    told = trainings.picture(services, item, tmp_path, lease)
    assert (told.crop, told.path.read_bytes()) == ((1, 2, 20, 20), b"bytes")


def test_the_engine_is_told_which_pictures_belong_together():
    names = [("a", "film"), ("b", None), ("c", "film"), ("d", None)]
    items = [SnapshotItem(name, name * 64, name, "red", "train", group=group) for name, group in names]
    units = trainings.units_of(items)
    assert units[0] == units[2]
    assert len(set(units)) == 3


def test_a_training_registers_a_model_and_its_evaluation(services, submit, dataset_id):
    job = submit.training(dataset_id)
    work(services, job.id, trainings.run)
    ended = submit.find(job)
    assert (ended.status, ended.completed, ended.error) == ("succeeded", 2, None)
    with services.database.reading() as session:
        model = registry.find_model(session, ended.result["model_id"])
        evaluation = registry.find_evaluation(session, ended.result["evaluation_id"])
        items = registry.page_evaluation_items(session, evaluation.id, Window(100)).data
        epochs = jobs.metrics(session, job.id)
        card = next(file for file in registry.model_files(session, model.id) if file.name == "README.md")
    assert b"0 of the pictures have near-duplicates" in services.store.read(card.sha256)
    assert model.label_names == ["blue", "red"]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    assert len(items) == sum(map(sum, evaluation.metrics["confusion"])) == 8
    right = sum(item.true_label == item.predicted_label for item in items)
    assert right / len(items) == pytest.approx(evaluation.metrics["accuracy"]) == pytest.approx(model.accuracy)
    assert isinstance(ModelCache(services).get(model.id).predictor, Predictor)
    assert ended.checkpoint_sha256 is None
    assert not any(services.work_folder("x").parent.glob(f"{job.id}*")), "nothing is left lying about"


def test_the_metrics_of_a_training_without_checkpoints_are_kept(services, submit, dataset_id):
    recipe = Recipe(preset="quick", backbone="efficientnet_lite0", epochs=4, image_size=32)
    job = submit.training(dataset_id, recipe)
    work(services, job.id, trainings.run)
    assert submit.find(job).status == "succeeded", submit.find(job).error
    with services.database.reading() as session:
        epochs = jobs.metrics(session, job.id)
    assert epochs
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, len(epochs) + 1))


def test_a_store_on_another_machine_serves_as_well(services, submit, pets):
    """As with S3: no blob is a file here, each is fetched."""
    services.store = MemoryStore()
    imported = submit.import_zip(pets)
    work(services, imported.id, run_import)
    job = submit.training(imported.dataset_id, RECIPE.model_copy(update={"epochs": 1}))
    work(services, job.id, trainings.run)
    ended = submit.find(job)
    assert (ended.status, ended.error) == ("succeeded", None)
    source = {"type": "dataset", "dataset": imported.dataset_id, "split": "valid"}
    with services.database.reading() as session:
        model = registry.find_model(session, ended.result["model_id"])
    batch = submit.batch(model, source, dataset_id=imported.dataset_id)
    work(services, batch.id, plan)
    run_chunks(services, ModelCache(services))
    assert submit.find(batch).items_succeeded == 8
    with services.database.reading() as session:
        found, held_out = drift.of_batch(session, batch.id), drift.held_out_of(session, model.id)
    same = Distribution.from_bytes(found.distribution)
    assert same.labels.tolist() == held_out.labels, "its held-out pictures are classified as they were evaluated"
    assert np.allclose(same.features, held_out.features, atol=0.05)
    assert (found.p_value > 0.05, found.exceeded) == (True, False)


def test_a_worker_that_stops_gives_the_training_back_and_the_next_goes_on(services, submit, dataset_id):
    job = submit.training(dataset_id, RECIPE.model_copy(update={"epochs": 3}))
    thread = in_thread(services, job)
    until(lambda: submit.find(job).checkpoint_sha256, thread)
    stopping.set()
    thread.join(20)
    given_back = submit.find(job)
    assert (given_back.status, given_back.lease_owner) == ("queued", None)
    stopping.clear()
    work(services, job.id, trainings.run)
    ended = submit.find(job)
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    with services.database.reading() as session:
        assert [epoch["epoch"] for epoch in jobs.metrics(session, job.id)] == [1, 2, 3]
    first_attempt = {line.data["epoch"] for line in submit.history(job) if line.event == "metric" and line.attempt == 1}
    second_attempt = {
        line.data["epoch"] for line in submit.history(job) if line.event == "metric" and line.attempt == 2
    }
    assert first_attempt.isdisjoint(second_attempt), "no finished epoch was trained again"


def test_cancel_takes_effect_within_seconds_and_leaves_no_model(services, submit, dataset_id):
    job = submit.training(dataset_id, RECIPE.model_copy(update={"epochs": 500}))
    thread = in_thread(services, job)
    until(lambda: submit.find(job).phase == "training", thread)
    with services.database.transaction() as session:
        assert jobs.request_cancel(session, job.id).status == "cancelling"
    thread.join(20)
    assert submit.find(job).status == "cancelled"
    with services.database.reading() as session:
        assert registry.page_models(session, Window()).data == []


def test_finish_keeps_the_best_so_far(services, submit, dataset_id):
    job = submit.training(dataset_id, RECIPE.model_copy(update={"epochs": 500}))
    thread = in_thread(services, job)
    until(lambda: submit.find(job).completed >= 1, thread)
    with services.database.transaction() as session:
        jobs.request_finish(session, job.id)
    thread.join(60)
    ended = submit.find(job)
    assert (ended.status, ended.result["finished_early"]) == ("succeeded", True)
    assert ended.result["epochs"] < 500


def test_weights_that_cannot_be_had_fail_the_training_with_the_way_out(
    services, submit, dataset_id, monkeypatch, tmp_path
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))
    offline = services.settings.weights.model_copy(update={"download": False})
    services.settings = services.settings.model_copy(update={"weights": offline})
    job = submit.training(dataset_id, RECIPE.model_copy(update={"backbone": "resnet18", "pretrained": True}))
    work(services, job.id, trainings.run)
    ended = submit.find(job)
    assert (ended.status, ended.error["code"]) == ("failed", "weights_unavailable")
    assert "TSUKIJI_WEIGHTS_DIR" in ended.error["hint"]


def test_a_training_whose_lease_went_to_another_writes_nothing(services, submit, dataset_id):
    job = submit.training(dataset_id)
    thread = in_thread(services, job)
    until(lambda: submit.find(job).phase == "training", thread)
    with services.database.transaction() as session:  # as the dispatcher does with an expired lease
        jobs.move(session, job.id, jobs.JobStatus.QUEUED, attempt=1, **jobs.FREE)
        leases.claim(session, Job, job.id, "somebody else", 60)
    thread.join(20)
    current = submit.find(job)
    assert (current.status, current.lease_owner, current.attempt) == ("running", "somebody else", 2)
    with services.database.reading() as session:
        assert registry.page_models(session, Window()).data == []


@pytest.mark.timeout(600)  # three processes, which import for a minute each where a machine is busy
def test_a_training_that_makes_progress_is_no_poison(services, submit, dataset_id):
    """Each worker dies after an epoch, more often than work may be tried: it comes to its end all the same."""
    once = services.settings.jobs.model_copy(update={"max_attempts": 1})
    services.settings = services.settings.model_copy(update={"jobs": once})
    job = submit.training(dataset_id, RECIPE.model_copy(update={"epochs": 3}))
    with services.database.transaction() as session:
        session.execute(update(Job).where(Job.id == job.id).values(max_attempts=1))
    for _ in range(2):
        safe = submit.find(job).checkpoint_sha256
        thread = in_thread(services, job)
        until(lambda safe=safe: submit.find(job).checkpoint_sha256 != safe, thread)
        with services.database.transaction() as session:
            session.execute(update(Job).values(lease_expires_at=now(-1)))
            leases.recover(session, jobs.find(session, job.id))
        thread.join(20)
    work(services, job.id, trainings.run)
    ended = submit.find(job)
    assert (ended.status, ended.attempt) == ("succeeded", 3)
    with services.database.reading() as session:
        assert [epoch["epoch"] for epoch in jobs.metrics(session, job.id)] == [1, 2, 3]
    assert not any(services.work_folder("x").parent.glob(f"{job.id}*")), "nothing of the dead is left lying about"


def test_a_data_set_that_is_deleted_once_it_is_frozen_is_trained_on_all_the_same(services, submit, dataset_id):
    """The snapshot is frozen, and its bytes are kept for a while."""
    job = submit.training(dataset_id, RECIPE.model_copy(update={"epochs": 1}))
    with services.database.transaction() as session:
        datasets.remove(session, dataset_id)
    work(services, job.id, trainings.run)
    ended = submit.find(job)
    assert (ended.status, ended.error, ended.dataset_id) == ("succeeded", None, None)
    with services.database.reading() as session:
        assert registry.find_model(session, ended.result["model_id"]).dataset_id is None


def test_a_data_set_that_is_deleted_during_the_training_takes_no_model_with_it(services, submit, dataset_id):
    job = submit.training(dataset_id, RECIPE.model_copy(update={"epochs": 3}))
    thread = in_thread(services, job)
    until(lambda: submit.find(job).checkpoint_sha256, thread)
    with services.database.transaction() as session:
        datasets.remove(session, dataset_id)
    thread.join(200)
    ended = submit.find(job)
    assert (ended.status, ended.error) == ("succeeded", None)
    with services.database.reading() as session:
        evaluation = registry.find_evaluation(session, ended.result["evaluation_id"])
        assert registry.find_model(session, ended.result["model_id"]).dataset_id is None
    assert evaluation.dataset_id is None
    assert evaluation.snapshot_id == job.snapshot_id or evaluation.snapshot_id is None


def test_a_data_set_whose_bytes_are_gone_fails_its_training_and_registers_nothing(services, submit, dataset_id):
    job = submit.training(dataset_id)
    with services.database.transaction() as session:
        hashes = [image.sha256 for image in datasets.labelled_images(session, dataset_id)]
        datasets.remove(session, dataset_id)
        assert set(blobs.forget(session, hashes)) == set(hashes)
    for sha256 in hashes:
        services.store.delete(sha256)
    work(services, job.id, trainings.run)
    ended = submit.find(job)
    assert (ended.status, ended.error["code"], ended.result) == ("failed", "blob_missing", None)
    assert ended.error["hint"]
    with services.database.reading() as session:
        assert registry.page_models(session, Window()).data == []


def test_a_checkpoint_that_is_gone_costs_its_epochs_and_not_the_training(services, submit, dataset_id):
    job = submit.training(dataset_id, RECIPE.model_copy(update={"epochs": 3}))
    thread = in_thread(services, job)
    until(lambda: submit.find(job).checkpoint_sha256, thread)
    stopping.set()
    thread.join(20)
    stopping.clear()
    services.store.delete(submit.find(job).checkpoint_sha256)
    work(services, job.id, trainings.run)
    assert submit.find(job).status == "succeeded"
