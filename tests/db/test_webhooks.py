"""The outbox: what is written with an event, and how deliveries are claimed and end."""

import pytest
from sqlalchemy import select, update

from db import aliases, storage_budget, webhooks
from db.clock import now
from db.jobs import jobs, leases
from db.models import DEFAULT_PROJECT, Blob, Job, Model, Webhook, WebhookDelivery
from db.paging import Window
from db.session import Session
from tests.requests import BLANK
from tsukiji.errors import InternalError, NotFound
from tsukiji.ids import new_id
from tsukiji.jobs import JobKind
from tsukiji.types.webhooks import EVENTS

HOUR = 3600


@pytest.fixture
def hook(database):
    with database.transaction() as session:
        return webhooks.create(session, "https://hooks.example/", ["*"])


def deliveries(database):
    with database.reading() as session:
        return list(session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


def queued(database, hook, count=1):
    with database.transaction() as session:
        return [webhooks.queue(session, [hook.id], "webhook.test", {})[0] for _ in range(count)]


def claim(database, hook, seconds=60):
    with database.transaction() as session:
        found = webhooks.claim(session, hook.id, seconds)
    return found and found[1]


def submit(database, kind=JobKind.TRAINING):
    with database.transaction() as session:
        return jobs.create(session, kind, request=BLANK[kind], max_attempts=3).id


def end(session, job_id, how):
    job = leases.claim(session, Job, job_id, "worker", 30)
    match how:
        case "succeeded":
            jobs.finish(session, job, {"model_id": "mdl_1", "accuracy": 0.9})
        case "failed":
            jobs.fail(session, job_id, InternalError("It broke."), attempt=job.attempt)
        case "cancelled":
            jobs.request_cancel(session, job_id)
            leases.cancel(session, job)
        case "expired":
            session.execute(update(Job).where(Job.id == job_id).values(deadline_at=now(-1)))
            jobs.expire(session, jobs.find(session, job_id))


@pytest.mark.parametrize("how", ["succeeded", "failed", "cancelled", "expired"])
def test_each_end_of_a_job_is_an_event_in_the_same_transaction(database, hook, how):
    job_id = submit(database)
    with database.engine.connect() as connection, Session(connection) as session:
        end(session, job_id, how)
        session.rollback()
    assert deliveries(database) == [], "what did not happen is not told"
    with database.transaction() as session:
        end(session, job_id, how)
    (told,) = deliveries(database)
    assert (told.event, told.status) == (f"training.{how}", "pending")
    assert told.event in EVENTS
    assert (told.data["id"], told.data["status"]) == (job_id, how)
    assert told.data.get("model_id") == ("mdl_1" if how == "succeeded" else None)
    assert (told.data["error"] is not None) == (how in {"failed", "expired"})


def test_a_webhook_is_told_of_what_it_asked_for(database):
    with database.transaction() as session:
        asked = [["*"], ["training.*"], ["training.failed"], ["batch.*", "model.promoted"]]
        hooks = [webhooks.create(session, "https://hooks.example/", events).id for events in asked]
        webhooks.disable(session, webhooks.create(session, "https://hooks.example/", ["*"]).id, "asked")
    job_id = submit(database)
    with database.transaction() as session:
        end(session, job_id, "succeeded")
    assert {one.webhook_id for one in deliveries(database)} == set(hooks[:2])


def test_predictions_are_not_events(database, hook):
    job_id = submit(database, JobKind.PREDICTION)
    with database.transaction() as session:
        end(session, job_id, "cancelled")
    assert deliveries(database) == []


def test_a_promotion_is_an_event_and_a_move_that_changes_nothing_is_none(database, hook):
    with database.transaction() as session:
        models = [
            Model(id=new_id("mdl"), name=name, backbone="resnet18", label_names=["a"], recipe={}, bytes=1)
            for name in ("old", "new")
        ]
        session.add_all(models)
        session.flush()
        old, new = (model.id for model in models)
    for model in (old, old, new):
        with database.transaction() as session:
            aliases.put(session, "production", model, by="key_1")
    with database.transaction() as session:
        aliases.roll_back(session, "production")
    told = deliveries(database)
    assert {one.event for one in told} == {"model.promoted"}
    moves = [(one.data["previous_model_id"], one.data["model_id"]) for one in told]
    assert moves == [(None, old), (old, new), (new, old)]
    assert (told[0].data["model_name"], told[0].data["moved_by"]) == ("old", "key_1")


def test_the_budget_of_the_store_is_told_once_when_it_is_crossed_either_way(database, hook):
    def check(budget):
        with database.transaction() as session:
            return storage_budget.check(session, budget)

    with database.transaction() as session:
        session.add(Blob(sha256="0" * 64, bytes=100))
    assert [check(100), check(0), check(99), check(99), check(100), check(100)] == [
        *(None, None),
        *("storage.over_budget", None),
        *("storage.within_budget", None),
    ]
    assert [one.data["used_bytes"] for one in deliveries(database)] == [100, 100]


# --- deliveries ------------------------------------------------------------------------------------------------------


def test_a_delivery_is_claimed_by_one_and_falls_due_again_if_nothing_comes_of_it(database, hook):
    (first,) = queued(database, hook)
    claimed = claim(database, hook, seconds=0.001)
    assert claimed.id == first
    again = claim(database, hook)
    assert (again.id, again.attempt) == (first, 2), "its first claim was given up"
    assert claim(database, hook) is None
    with database.transaction() as session:
        webhooks.succeed(session, claimed, 200)
    assert deliveries(database)[0].status == "pending", "an outcome of an older attempt does not count"
    with database.transaction() as session:
        webhooks.succeed(session, again, 200)
    assert deliveries(database)[0].status == "delivered"


def test_what_was_due_first_goes_first_and_only_what_is_due(database, hook):
    first, second, third = queued(database, hook, 3)
    with database.transaction() as session:
        for name, seconds in ((second, -20), (third, -30), (first, 20)):
            session.execute(update(WebhookDelivery).where(WebhookDelivery.id == name).values(due_at=now(seconds)))
    with database.reading() as session:
        assert webhooks.due(session, 9) == {hook.id: 2}
        assert webhooks.due(session, 1) == {hook.id: 1}
    assert [claim(database, hook).id for _ in range(2)] == [third, second]
    assert claim(database, hook) is None


def test_failures_end_with_the_last_attempt_and_can_be_replayed(database, hook):
    queued(database, hook)
    for again_in in (0, None):
        delivery = claim(database, hook)
        with database.transaction() as session:
            webhooks.fail(session, delivery, 500, "It answered 500.", again_in)
    (failed,) = deliveries(database)
    assert (failed.status, failed.failures, failed.response_status) == ("failed", 2, 500)
    with database.transaction() as session:
        assert webhooks.find(session, hook.id).failing_since
        assert webhooks.replay(session, hook.id) == 1
    delivery = claim(database, hook)
    assert (delivery.attempt, delivery.failures) == (3, 0)
    with database.transaction() as session:
        webhooks.succeed(session, delivery, 204)
        assert webhooks.find(session, hook.id).failing_since is None


def test_a_webhook_that_fails_for_long_is_disabled_and_what_waits_can_be_replayed(database, hook):
    queued(database, hook, 2)
    delivery = claim(database, hook)
    with database.transaction() as session:
        webhooks.fail(session, delivery, None, "No answer.", None)
        assert not webhooks.disable_failing(session, hook.id, 72)
        session.execute(update(Webhook).values(failing_since=now(-73 * HOUR)))
        assert webhooks.disable_failing(session, hook.id, 72)
        row = webhooks.find(session, hook.id)
    assert (row.disabled_because, row.disabled_at is None) == ("failing", False)
    assert [one.status for one in deliveries(database)] == ["failed", "failed"]
    with database.transaction() as session:
        webhooks.emit(session, DEFAULT_PROJECT, "training.failed", dict)
        webhooks.enable(session, hook.id)
        assert webhooks.replay(session, hook.id) == 2
    assert claim(database, hook)


def test_nothing_of_a_disabled_webhook_is_claimed(database, hook):
    queued(database, hook)
    with database.transaction() as session:
        session.execute(update(Webhook).values(disabled_at=now()))
    assert claim(database, hook) is None
    with database.reading() as session:
        assert webhooks.due(session, 9) == {}


def test_a_secret_is_rotated_with_an_overlap(database, hook):
    def secrets():
        with database.reading() as session:
            return webhooks.signing_secrets(session, webhooks.find(session, hook.id))

    first = secrets()
    with database.transaction() as session:
        second = webhooks.rotate(session, hook.id, 1).secret
    assert secrets() == [second, *first]
    with database.transaction() as session:
        session.execute(update(Webhook).values(old_secret_expires_at=now(-1)))
    assert secrets() == [second]
    with database.transaction() as session:
        third = webhooks.rotate(session, hook.id, 0).secret
    assert secrets() == [third]


def test_old_deliveries_are_forgotten_and_those_that_wait_are_not(database, hook):
    ended, waiting = queued(database, hook, 2)
    with database.transaction() as session:
        session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.id == ended)
            .values(status="delivered", ended_at=now(-31 * 24 * HOUR))
        )
        assert webhooks.forget(session, 30) == 1
    assert [one.id for one in deliveries(database)] == [waiting]


def test_a_webhook_goes_with_its_deliveries(database, hook):
    queued(database, hook)
    with database.transaction() as session:
        webhooks.remove(session, hook.id)
    assert deliveries(database) == []
    with pytest.raises(NotFound), database.reading() as session:
        webhooks.page_deliveries(session, hook.id, Window())
