"""A training and batches on one device: they take turns. The device is shared by name, so the processor will do."""

import threading
from dataclasses import replace
from functools import partial

import pytest

from db.models import SharedDevice
from tests.worker.conftest import RECIPE, run_chunks, work
from tsukiji.jobs import Queue
from worker import device_turn
from worker.device_turn import DeviceTurn
from worker.jobs import trainings
from worker.jobs.batches import plan
from worker.jobs.engine import Engine
from worker.jobs.imports import run as run_import
from worker.lease import Stopped


class Held:
    """A fake lease."""

    def __init__(self, looks=10**6):
        self.renewals, self._left = [], looks

    def check(self):
        self._left -= 1
        if self._left < 0:
            raise Stopped


@pytest.fixture
def shared(services, monkeypatch):
    """The services of a worker whose device is shared, asking often and changing at once."""
    jobs = services.settings.jobs.model_copy(update={"shared_device": "cpu"})
    services.settings = services.settings.model_copy(update={"jobs": jobs})
    monkeypatch.setattr(device_turn, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(device_turn, "LEAST_SECONDS", 0.05)
    return services


def other(services):
    return replace(services, worker="another")


def test_without_a_shared_device_nothing_is_asked(services):
    with DeviceTurn(services, Queue.INFER, Held()) as turn, DeviceTurn(other(services), Queue.TRAIN, Held()):
        assert turn.held
        assert not turn.is_over
    with services.database.reading() as session:
        assert session.query(SharedDevice).count() == 0


def test_who_waits_can_be_stopped_and_takes_nothing(shared):
    with DeviceTurn(shared, Queue.TRAIN, Held()), pytest.raises(Stopped):
        DeviceTurn(other(shared), Queue.INFER, Held(looks=3)).__enter__()
    with DeviceTurn(other(shared), Queue.INFER, Held()) as turn:
        assert turn.held


def test_a_training_gives_way_to_a_batch_and_goes_on(shared, submit, pets, model, models, monkeypatch):
    imported = submit.import_zip(pets)
    work(shared, imported.id, run_import)
    orders, order = [], Engine.order
    monkeypatch.setattr(Engine, "order", lambda engine, word: (orders.append(word), order(engine, word)))
    training = submit.training(imported.dataset_id, RECIPE.model_copy(update={"epochs": 30}))
    thread = threading.Thread(target=partial(work, shared, training.id, trainings.run))
    thread.start()
    while not submit.find(training).completed:
        assert thread.is_alive(), submit.find(training).error
    batch = submit.batch(model, {"type": "dataset", "dataset": imported.dataset_id}, dataset_id=imported.dataset_id)
    work(shared, batch.id, plan)
    run_chunks(other(shared), models)
    assert submit.find(batch).items_succeeded == 24
    assert submit.find(training).status == "running", "the batch did not wait for its end"
    thread.join(120)
    assert submit.find(training).status == "succeeded"
    assert orders[:2] == ["pause", "resume"]
