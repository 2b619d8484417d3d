import numpy as np
import pytest

from db import registry
from db.curation import datasets
from db.jobs import batches, jobs, leases, workers
from db.models import Image, Job, Model
from db.paging import Window
from tests.worker.conftest import Recorder, run_chunks, run_next, waiting_chunks, with_broker, work
from tsukiji.jobs import JobKind, Queue
from worker.dispatcher import Renotifier, recover
from worker.inference.model_cache import ModelCache
from worker.jobs import evaluations
from worker.jobs.imports import run as run_import


@pytest.fixture
def models(services):
    return ModelCache(services)


@pytest.fixture
def pets_dataset(services, submit, pets):
    """24 labelled images, half red, half blue."""
    imported = submit.import_zip(pets)
    work(services, imported.id, run_import)
    return imported.dataset_id


@pytest.fixture
def broker(services):
    """Takes every wake-up."""

    return with_broker(services, Recorder())


@pytest.fixture
def evaluate(submit, model, pets_dataset):
    def start(split=None, **columns):
        request = {"model": model.id, "label_names": model.label_names}
        request["input"] = {"type": "dataset", "dataset": pets_dataset, "split": split}
        columns = {"model_id": model.id, "dataset_id": pets_dataset, "unit": "images"} | columns
        return submit.job(JobKind.EVALUATION, request=request, **columns)

    return start


def run(services, models, job):
    work(services, job.id, evaluations.run)
    run_chunks(services, models)
    work(services, job.id, evaluations.run)


def found(services, model):
    with services.database.reading() as session:
        return registry.page_evaluations(session, Window(), model.id).data


def items(services, evaluation):
    with services.database.reading() as session:
        return registry.page_evaluation_items(session, evaluation.id, Window(1000)).data


def change(services, act):
    with services.database.transaction() as session:
        return act(session)


def test_a_model_is_measured_on_a_data_set(services, submit, model, models, evaluate, pets_dataset, broker):
    job = evaluate()
    run(services, models, job)
    ended = submit.find(job)
    (evaluation,) = found(services, model)
    assert (ended.status, ended.result["evaluation_id"]) == ("succeeded", evaluation.id)
    assert (evaluation.split, evaluation.dataset_id, evaluation.seen_in_training) == ("all", pets_dataset, 0)
    rows = items(services, evaluation)
    right = sum(row.true_label == row.predicted_label for row in rows)
    assert evaluation.metrics["images"] == len(rows) == 24
    assert evaluation.metrics["accuracy"] == ended.result["accuracy"] == pytest.approx(right / 24)
    assert evaluation.metrics["calibration"]["temperature"] == 1
    with services.database.reading() as session:
        names = {row.sha256: (row.id, row.name) for row in datasets.labelled_images(session, pets_dataset)}
    assert all(names[row.sha256] == (row.image_id, row.name) for row in rows)
    first = rows[0]
    chance = np.frombuffer(first.probabilities, "<f4")[model.label_names.index(first.true_label)]
    assert first.loss == pytest.approx(-np.log(chance), rel=1e-5)
    assert Queue.INTAKE in broker.sent, "the last chunk sent for who measures"


def test_it_is_measured_once_however_often_the_message_comes(services, submit, model, models, evaluate):
    job = evaluate()
    run(services, models, job)
    work(services, job.id, evaluations.run)
    run_chunks(services, models)
    assert len(found(services, model)) == 1


def test_who_lost_the_job_while_measuring_writes_nothing(services, submit, model, models, evaluate, monkeypatch):
    job = evaluate()
    work(services, job.id, evaluations.run)
    run_chunks(services, models)
    real = evaluations.measure

    def measure(*arguments):
        change(services, lambda session: leases.give_back(session, submit.find(job), "test"))
        return real(*arguments)

    monkeypatch.setattr(evaluations, "measure", measure)
    work(services, job.id, evaluations.run)
    waits = submit.find(job)
    assert (waits.status, waits.phase, found(services, model)) == ("queued", "measuring", [])
    monkeypatch.undo()
    work(services, job.id, evaluations.run)
    assert (submit.find(job).status, len(found(services, model))) == ("succeeded", 1)


def test_a_worker_that_dies_while_measuring_is_replaced(services, submit, model, models, evaluate, broker):
    job = evaluate()
    work(services, job.id, evaluations.run)
    run_chunks(services, models)
    change(services, lambda session: leases.claim(session, Job, job.id, "dead", -1))
    recover(services)
    broker.sent.clear()
    with services.database.transaction() as session:
        for queue in (Queue.INTAKE, Queue.INFER):
            workers.report(session, f"{queue}@here", queue, None)
    Renotifier(services).notify()
    assert broker.sent == [Queue.INTAKE], "and no chunk waits again"
    work(services, job.id, evaluations.run)
    assert submit.find(job).status == "succeeded"
    assert len(found(services, model)) == 1


def test_cancel_between_classifying_and_measuring(services, submit, model, models, evaluate):
    job = evaluate()
    work(services, job.id, evaluations.run)
    run_chunks(services, models)
    change(services, lambda session: jobs.request_cancel(session, job.id))
    work(services, job.id, evaluations.run)
    assert (submit.find(job).status, found(services, model)) == ("cancelled", [])


def test_cancel_while_the_last_chunk_ends(services, submit, model, models, evaluate, monkeypatch):
    job = evaluate()
    work(services, job.id, evaluations.run)
    real = batches.finish_chunk

    def finish(session, chunk, *classified):
        jobs.change(session, jobs.Job.id == job.id, status="cancelling", cancel_requested_at=jobs.now())
        return real(session, chunk, *classified)

    for _ in waiting_chunks(services)[1:]:
        run_next(services, models)
    monkeypatch.setattr(batches, "finish_chunk", finish)
    run_next(services, models)
    assert (submit.find(job).status, found(services, model)) == ("cancelled", [])


def test_pictures_that_cannot_be_read_are_counted_and_left_out(services, submit, model, models, evaluate, pets_dataset):
    with services.database.reading() as session:
        gone = datasets.labelled_images(session, pets_dataset)[0]
    services.store.delete(gone.sha256)
    run(services, models, evaluate())
    (evaluation,) = found(services, model)
    assert (evaluation.errored, evaluation.metrics["images"]) == (1, 23)
    assert gone.sha256 not in {row.sha256 for row in items(services, evaluation)}


def test_nothing_can_be_read(services, submit, model, models, evaluate, pets_dataset):
    with services.database.reading() as session:
        for image in datasets.labelled_images(session, pets_dataset):
            services.store.delete(image.sha256)
    job = evaluate()
    run(services, models, job)
    assert submit.find(job).error["code"] == "no_image_succeeded"


def test_images_without_a_label_are_left_out_and_unknown_labels_refused(
    services, submit, model, models, evaluate, pets_dataset
):
    def relabel(label):
        def act(session):
            image = session.get(Image, datasets.labelled_images(session, pets_dataset)[0].id)
            image.label = label

        return act

    change(services, relabel(None))
    run(services, models, evaluate())
    assert found(services, model)[0].metrics["images"] == 23
    change(services, relabel("green"))
    job = evaluate()
    work(services, job.id, evaluations.run)
    error = submit.find(job).error
    assert (error["code"], error["labels"]) == ("labels_unknown", ["green"])


def test_what_the_model_learnt_from_is_told(services, submit, model, models, evaluate, pets_dataset):
    training = submit.training(pets_dataset)

    def learn(session):
        row = session.get_one(Model, model.id)
        row.snapshot_id, row.dataset_id = training.snapshot_id, pets_dataset

    change(services, learn)
    run(services, models, evaluate())
    run(services, models, evaluate("valid"))
    held_out, everything = found(services, model)
    assert (held_out.split, held_out.metrics["images"], held_out.seen_in_training) == ("valid", 8, 0)
    assert (everything.split, everything.metrics["images"], everything.seen_in_training) == ("all", 24, 16)
    assert [row.metrics["selective"]["images"] for row in (held_out, everything)] == [8, 8], (
        "what was learnt is no proof"
    )


def test_of_another_data_set_the_splits_are_its_own(services, submit, model, models, evaluate, pets_dataset):
    def assign(session):
        first, second, *_ = datasets.labelled_images(session, pets_dataset)
        session.get(Image, first.id).split, session.get(Image, second.id).drawn_split = "test", "test"

    change(services, assign)
    run(services, models, evaluate("test"))
    assert found(services, model)[0].metrics["images"] == 2
    empty = evaluate("train")
    work(services, empty.id, evaluations.run)
    assert submit.find(empty).error["code"] == "batch_empty"


def test_a_model_deleted_before_it_is_measured(services, submit, model, models, evaluate):
    job = evaluate()
    work(services, job.id, evaluations.run)
    run_chunks(services, models)
    change(services, lambda session: registry.remove_model(session, model.id))
    work(services, job.id, evaluations.run)
    assert submit.find(job).error["code"] == "model_gone"


def test_a_data_set_deleted_before_it_is_measured(services, submit, model, models, evaluate, pets_dataset):
    job = evaluate()
    work(services, job.id, evaluations.run)
    run_chunks(services, models)
    change(services, lambda session: datasets.remove(session, pets_dataset))
    work(services, job.id, evaluations.run)
    (evaluation,) = found(services, model)
    assert (evaluation.dataset_id, items(services, evaluation)[0].image_id) == (None, None)
    assert submit.find(job).status == "succeeded"


def test_a_data_set_deleted_while_it_is_measured(services, submit, model, models, evaluate, pets_dataset, monkeypatch):
    job = evaluate()
    work(services, job.id, evaluations.run)
    run_chunks(services, models)
    measure = evaluations.measure

    def meanwhile(*arguments):
        change(services, lambda session: datasets.remove(session, pets_dataset))
        return measure(*arguments)

    monkeypatch.setattr(evaluations, "measure", meanwhile)
    work(services, job.id, evaluations.run)
    assert found(services, model)[0].dataset_id is None
    assert submit.find(job).status == "succeeded"
