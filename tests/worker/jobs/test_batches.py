import io
import time

import numpy as np
import pytest
from PIL import Image

from db import registry
from db.curation import datasets, image_edits
from db.jobs import jobs, scheduling
from db.paging import Window
from db.predictions import results as read
from tests.worker.conftest import picture, run_chunks, run_next, work
from tsukiji.jobs import Queue
from tsukiji.kernel.settings import LimitSettings
from tsukiji.types import Exclude, SetCrop
from worker.inference import batch_inference, chunks
from worker.inference.model_cache import ModelCache
from worker.jobs import batches
from worker.jobs.batches import plan
from worker.jobs.imports import run as run_import
from worker.lease import Lease
from worker.shutdown import stopping


def results(services, job):
    with services.database.reading() as session:
        return read.page(session, job.id, Window(1000))[0]


def submit_zip(services, submit, model, path):
    blob = services.store.put(path)
    return submit.batch(model, {"type": "archive", "filename": "x.zip"}, upload_sha256=blob.sha256)


def test_a_zip_becomes_predictions_in_its_order(services, submit, model, models, archive):
    files = {f"night/{number}.png": number for number in range(10)} | {"night/bad.jpg": b"no", "../x.jpg": b"no"}
    job = submit_zip(services, submit, model, archive(files))
    work(services, job.id, plan)
    run_chunks(services, models)
    ended = submit.find(job)
    assert (ended.status, ended.items_succeeded, ended.items_errored) == ("succeeded", 10, 2)
    rows = results(services, job)
    assert [row.custom_id for row in rows] == list(files)
    assert [row.error["code"] for row in rows[10:]] == ["not_an_image", "unsafe_path"]
    probabilities = np.frombuffer(rows[0].probabilities, "<f4")
    assert probabilities.sum() == pytest.approx(1)
    assert rows[0].label == model.label_names[probabilities.argmax()]
    assert (rows[0].width, rows[0].height) == (24, 24)


def test_a_data_set_becomes_a_batch_with_its_true_labels(services, submit, model, models, pets):
    imported = submit.import_zip(pets)
    work(services, imported.id, run_import)
    source = {"type": "dataset", "dataset": imported.dataset_id, "split": None}
    job = submit.batch(model, source, dataset_id=imported.dataset_id)
    work(services, job.id, plan)
    run_chunks(services, models)
    assert submit.find(job).items_succeeded == 24
    assert {row.true_label for row in results(services, job)} == {"red", "blue"}


def test_a_batch_over_a_data_set_sees_crops_and_not_what_is_excluded(services, submit, model, models, archive):
    wide = Image.new("RGB", (48, 24))
    wide.paste(picture(0), (0, 0))
    wide.paste(picture(1), (24, 0))
    file = io.BytesIO()
    wide.save(file, "PNG")
    imported = submit.import_zip(archive({"red/wide.png": file.getvalue(), "red/other.png": 2, "red/no.png": 4}))
    work(services, imported.id, run_import)
    with services.database.transaction() as session:
        ids = {image.name: image.id for image in datasets.all_images(session, imported.dataset_id, 9)}
        for act in (
            SetCrop(act="crop", crop=(0, 0, 24, 24), images=[ids["red/wide.png"]]),
            Exclude(act="exclude", images=[ids["red/no.png"]]),
        ):
            image_edits.carry_out(session, imported.dataset_id, act, most_labels=9)
    source = {"type": "dataset", "dataset": imported.dataset_id, "split": None}
    job = submit.batch(model, source, dataset_id=imported.dataset_id)
    half = submit_zip(services, submit, model, archive({"half.png": 0}))
    for waiting in (job, half):
        work(services, waiting.id, plan)
    run_chunks(services, models)
    rows = {row.custom_id: np.frombuffer(row.probabilities, "<f4") for row in results(services, job)}
    assert rows.keys() == {"red/wide.png", "red/other.png"}
    (alone,) = results(services, half)
    assert rows["red/wide.png"] == pytest.approx(np.frombuffer(alone.probabilities, "<f4"), abs=1e-6)


def test_an_empty_batch_and_one_too_large_fail_with_the_reason(services, submit, model, archive):
    empty = submit_zip(services, submit, model, archive({}))
    work(services, empty.id, plan)
    assert submit.find(empty).error["code"] == "batch_empty"
    limited = services.settings.model_copy(update={"limits": LimitSettings(batch_items=2)})
    services.settings = limited
    large = submit_zip(services, submit, model, archive({f"{number}.png": number for number in range(3)}))
    work(services, large.id, plan)
    assert submit.find(large).error["code"] == "batch_too_large"


def test_a_model_deleted_in_the_middle_fails_the_batch_and_keeps_what_is_done(services, submit, model, archive):
    job = submit_zip(services, submit, model, archive({f"{number}.png": number for number in range(8)}))
    work(services, job.id, plan)
    run_next(services, ModelCache(services))
    with services.database.transaction() as session:
        registry.remove_model(session, model.id)
    run_next(services, ModelCache(services))
    ended = submit.find(job)
    assert (ended.status, ended.error["code"], ended.items_succeeded) == ("failed", "model_gone", 4)


def test_the_first_images_are_classified_while_the_last_are_read(services, submit, model, models, archive, monkeypatch):
    monkeypatch.setattr("worker.jobs.batches.PAGE", 4)
    monkeypatch.setattr("tsukiji.kernel.pipeline.AHEAD", 1)  # or all are kept before the first page is written
    job = submit_zip(services, submit, model, archive({f"{number}.png": number for number in range(10)}))
    keep, calls, seen = services.store.put, [], []

    def put(data):
        calls.append(1)
        if len(calls) == 8:
            run_chunks(services, models)
            seen.append((submit.find(job), [row.label for row in results(services, job) if row.label]))
        return keep(data)

    monkeypatch.setattr(services.store, "put", put)
    work(services, job.id, plan)
    ((midway, labels),) = seen
    assert (midway.status, midway.phase, midway.completed, midway.planned) == ("running", "reading", 4, False)
    assert len(labels) == 4
    run_chunks(services, models)
    ended = submit.find(job)
    assert (ended.status, ended.items_succeeded, ended.items_total) == ("succeeded", 10, 10)
    assert [row.custom_id for row in results(services, job)] == [f"{number}.png" for number in range(10)]


def test_planning_that_fails_keeps_what_is_done_and_leaves_no_work(
    services, submit, model, models, archive, monkeypatch
):
    monkeypatch.setattr("worker.jobs.batches.PAGE", 4)
    limited = services.settings.model_copy(update={"limits": LimitSettings(batch_items=9)})
    services.settings = limited
    job = submit_zip(services, submit, model, archive({f"{number}.png": number for number in range(10)}))
    check = batches.check_size

    def late(allowed, items):
        if items == 8:
            run_chunks(services, models)
        check(allowed, items)

    monkeypatch.setattr(batches, "check_size", late)
    work(services, job.id, plan)
    ended = submit.find(job)
    assert (ended.status, ended.error["code"], ended.items_succeeded) == ("failed", "batch_too_large", 4)
    with services.database.reading() as session:
        assert scheduling.waiting(session, Queue.INFER, 9) == [], "of the second page nobody is to classify anything"


def test_bytes_that_are_gone_or_altered_cost_only_their_image(services, submit, model, models, archive):
    job = submit_zip(services, submit, model, archive({f"{number}.png": number for number in range(3)}))
    work(services, job.id, plan)
    gone, altered, _ = results(services, job)
    services.store.delete(gone.sha256)
    path = services.store.local_path(altered.sha256)
    path.chmod(0o644)
    path.write_bytes(b"other")
    run_chunks(services, models)
    ended = submit.find(job)
    assert (ended.status, ended.items_succeeded) == ("succeeded", 1)
    codes = [row.error and row.error["code"] for row in results(services, job)]
    assert codes == ["blob_missing", "blob_corrupt", None]


def test_a_worker_that_stops_gives_its_chunk_back(services, submit, model, models, archive):
    job = submit_zip(services, submit, model, archive({"1.png": 1}))
    work(services, job.id, plan)
    stopping.set()
    run_next(services, models)
    assert submit.find(job).items_succeeded == 0
    stopping.clear()
    run_chunks(services, models)
    assert submit.find(job).status == "succeeded"


def test_cancel_reaches_a_chunk_that_is_under_way(services, submit, model, models, archive, monkeypatch):
    job = submit_zip(services, submit, model, archive({"1.png": 1, "2.png": 2}))
    work(services, job.id, plan)
    held = []

    class Watched(Lease):
        def __enter__(self):
            held.append(self)
            return super().__enter__()

    real = batch_inference.look_at

    def read(*arguments):
        with services.database.transaction() as session:
            jobs.request_cancel(session, job.id)
        deadline = time.monotonic() + 10
        while not held[0].signals.cancel and time.monotonic() < deadline:
            time.sleep(0.01)
        return real(*arguments)

    monkeypatch.setattr(batch_inference, "look_at", read)
    monkeypatch.setattr(chunks, "Lease", Watched)
    run_chunks(services, models)
    ended = submit.find(job)
    assert (ended.status, ended.items_succeeded) == ("cancelled", 0)


def test_the_split_is_the_one_the_model_was_trained_with(services, submit, model, models, pets):
    imported = submit.import_zip(pets)
    work(services, imported.id, run_import)
    training = submit.training(imported.dataset_id)
    with services.database.transaction() as session:
        row = session.get_one(type(model), model.id)
        row.snapshot_id, row.dataset_id = training.snapshot_id, imported.dataset_id
    source = {"type": "dataset", "dataset": imported.dataset_id, "split": "valid"}
    job = submit.batch(model, source, dataset_id=imported.dataset_id)
    work(services, job.id, plan)
    run_chunks(services, models)
    assert submit.find(job).items_succeeded == 8, "30% of 12 in each of two classes, as the snapshot says"
    with services.database.reading() as session:
        assert datasets.count_images(session, [imported.dataset_id])[imported.dataset_id].splits == {"unassigned": 24}
