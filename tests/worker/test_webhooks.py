"""Deliveries to real receivers on this machine, verified as the specification's own package does."""

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from sqlalchemy import update

from db import webhooks
from db.clock import now
from db.models import WebhookDelivery
from db.paging import Window
from devtools.receiver import receiving
from tests.tsukiji.ingest.sources.internet import PUBLIC, Network
from tsukiji.kernel.settings import WebhookSettings
from worker import dispatcher
from worker.webhooks import Deliverer, Outcome, Sender, encode, read_retry_after

FAST = WebhookSettings(hosts=["127.0.0.1"], seconds=5, retry_seconds=[0, 0])


@pytest.fixture
def start(services):
    """Make a webhook for a receiver, and return it."""

    def make(receiver, settings=FAST):
        services.settings = services.settings.model_copy(update={"webhooks": settings})
        with services.database.transaction() as session:
            hook = webhooks.create(session, receiver.url, ["*"])
        receiver.secrets = [hook.secret]
        return hook

    return make


def tell(services, *hooks, count=1):
    with services.database.transaction() as session:
        for number in range(count):
            webhooks.queue(session, [hook.id for hook in hooks], "webhook.test", {"number": number})


def deliver(services, seconds=10):
    """Do what the dispatcher does until nothing is due and nothing is under way."""
    deliverer, until = Deliverer(services), time.monotonic() + seconds
    while time.monotonic() < until:
        deliverer.start_due()
        if not deliverer.running():
            return
        time.sleep(0.01)
    pytest.fail("deliveries did not end")


def ended(services, hook):
    with services.database.reading() as session:
        rows = webhooks.page_deliveries(session, hook.id, Window(200)).data
    return [(row.status, row.failures, row.response_status) for row in rows]


def error_of(services, hook):
    with services.database.reading() as session:
        return webhooks.page_deliveries(session, hook.id, Window(1)).data[0].error


def test_an_event_arrives_signed(services, start):
    with receiving() as receiver:
        hook = start(receiver)
        tell(services, hook)
        deliver(services)
    (message,) = receiver.messages.values()
    assert (message["type"], message["data"], receiver.forged) == ("webhook.test", {"number": 0}, 0)
    assert datetime.fromisoformat(message["timestamp"]).tzinfo
    assert ended(services, hook) == [("delivered", 0, 204)]


def test_while_a_secret_is_rotated_either_verifies(services, start):
    with receiving() as receiver:
        hook = start(receiver)
        with services.database.transaction() as session:
            webhooks.rotate(session, hook.id, 1)
        tell(services, hook)
        deliver(services)
        assert receiver.forged == 0, "the old secret still verifies"
        with services.database.transaction() as session:
            receiver.secrets = [webhooks.find(session, hook.id).secret]
        tell(services, hook)
        deliver(services)
    assert (len(receiver.messages), receiver.forged) == (2, 0)


def test_an_attempt_that_fails_is_made_again_with_the_same_id(services, start):
    answers = [500, 429, 200]
    with receiving(lambda _: answers.pop(0)) as receiver:
        hook = start(receiver)
        tell(services, hook)
        deliver(services)
    assert len(receiver.requests) == 3
    assert len(set(receiver.requests)) == 1
    assert ended(services, hook) == [("delivered", 2, 200)]


def test_after_the_last_pause_a_delivery_is_given_up(services, start):
    with receiving(lambda _: 500) as receiver:
        hook = start(receiver)
        tell(services, hook)
        deliver(services)
    assert len(receiver.requests) == 3
    assert ended(services, hook) == [("failed", 3, 500)]


def test_redirects_are_not_followed(services, start):
    with receiving() as other, receiving(lambda _: (302, {"Location": other.url})) as receiver:
        hook = start(receiver)
        tell(services, hook)
        deliver(services)
    assert other.requests == []
    assert error_of(services, hook) == "It answered 302; redirects are not followed."


def test_a_receiver_that_is_gone_is_told_nothing_more(services, start):
    with receiving(lambda _: 410) as receiver:
        hook = start(receiver)
        tell(services, hook)
        deliver(services)
    with services.database.reading() as session:
        assert webhooks.find(session, hook.id).disabled_because == "gone"
    assert len(receiver.requests) == 1


def test_one_that_fails_for_long_is_disabled_when_a_delivery_is_given_up(services, start):
    with receiving(lambda _: 500) as receiver:
        hook = start(receiver, FAST.model_copy(update={"disable_hours": 1e-9}))
        tell(services, hook)
        deliver(services)
    with services.database.reading() as session:
        assert webhooks.find(session, hook.id).disabled_because == "failing"
    assert len(receiver.requests) == 3


def test_receivers_that_are_slow_or_down_delay_no_other(services, start):
    release = threading.Event()
    with receiving(lambda _: release.wait(20) and 200) as slow, receiving() as quick:
        patient = FAST.model_copy(update={"seconds": 20})
        hooks = [start(slow, patient) for _ in range(5)]
        fine = start(quick, patient)
        slow.secrets = [hook.secret for hook in hooks]
        tell(services, *hooks, fine, count=10)
        deliverer = Deliverer(services)
        deliverer.start_due()
        assert len(quick.wait(10)) == 10
        while deliverer.running() > 5 * 4:
            time.sleep(0.01)
        assert deliverer.running() == 5 * 4, "each has at most four attempts under way"
        assert not slow.messages
        release.set()
        assert len(slow.wait(50)) == 50
        while deliverer.running():
            time.sleep(0.01)


def test_one_that_does_not_answer_is_given_up_in_time(services, start):
    release = threading.Event()
    with receiving(lambda _: release.wait(20) and 200) as receiver:
        hook = start(receiver, FAST.model_copy(update={"retry_seconds": [], "seconds": 0.3}))
        tell(services, hook)
        began = time.monotonic()
        deliver(services)
        assert time.monotonic() - began < 5
        release.set()
    assert error_of(services, hook) == "No answer within 0.3 s."


def test_what_a_dead_dispatcher_had_claimed_is_sent_by_another(services, start):
    with receiving() as receiver:
        hook = start(receiver)
        tell(services, hook)
        with services.database.transaction() as session:
            assert webhooks.claim(session, hook.id, 60)
        deliver(services)
        assert receiver.messages == {}, "the dispatcher may still be sending it"
        with services.database.transaction() as session:
            session.execute(update(WebhookDelivery).values(due_at=now(-1)))
        deliver(services)
    assert ended(services, hook) == [("delivered", 0, 204)]


def test_the_dispatcher_delivers(services, start):
    stop = threading.Event()
    with receiving() as receiver:
        tell(services, start(receiver))
        thread = threading.Thread(target=dispatcher.dispatch, args=(services, stop))
        thread.start()
        assert len(receiver.wait(1)) == 1
        stop.set()
        thread.join()


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.fixture
def delivery(services, start):
    with receiving() as receiver:
        hook = start(receiver)
        tell(services, hook)
    with services.database.transaction() as session:
        return webhooks.claim(session, hook.id, 60)[1]


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "64:ff9b::a9fe:a9fe"])
def test_a_name_of_a_private_address_is_never_dialled(delivery, address):
    with receiving() as receiver:
        network = Network(PortOf(receiver))
        sender = Sender(WebhookSettings(), lambda host, port: [PUBLIC, address], network)
        outcome = sender.send("http://hooks.example/", ["whsec_c2VjcmV0"], delivery)
    assert "not public" in outcome.error
    assert (network.dialled, receiver.requests) == ([], [])


def test_a_public_name_is_dialled_at_the_address_that_was_checked(delivery):
    with receiving() as receiver:
        network = Network(PortOf(receiver))
        sender = Sender(WebhookSettings(), lambda host, port: [PUBLIC], network)
        assert sender.send("http://hooks.example/", ["whsec_c2VjcmV0"], delivery) == Outcome(204)
    assert network.dialled == [(PUBLIC, 80)]


def test_a_setting_that_has_changed_holds_at_once(delivery):
    with receiving() as receiver:
        sender = Sender(WebhookSettings(hosts=["hooks.example"]))
        assert "not an allowed host" in sender.send(receiver.url, ["whsec_c2VjcmV0"], delivery).error
        assert receiver.requests == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://no-such-host.invalid/"])
def test_what_cannot_be_reached_is_an_outcome(delivery, url):
    settings = WebhookSettings(hosts=["127.0.0.1", "no-such-host.invalid"])
    assert Sender(settings).send(url, ["whsec_c2VjcmV0"], delivery).error.startswith("Could not be reached")


class PortOf:
    """What `Network` reads of a server."""

    def __init__(self, receiver):
        self.server_address = ("127.0.0.1", int(receiver.url.rpartition(":")[2].partition("/")[0]))


def test_the_body_is_the_same_at_every_attempt_and_small(delivery):
    assert encode(delivery) == encode(delivery)
    assert len(encode(delivery)) < 20_000


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("7", 7), ("x", 0), ("-3", 0), ("9" * 400, 86400), ("0", 0)])
def test_retry_after_is_read_with_care(text, seconds):
    assert read_retry_after(text) == seconds


def test_retry_after_may_be_a_date():
    later = datetime.now(UTC) + timedelta(seconds=100)
    assert 90 < read_retry_after(format_datetime(later, usegmt=True)) <= 100


def test_a_receiver_may_ask_for_a_longer_pause(services, start):
    with receiving(lambda _: (503, {"Retry-After": "3000"})) as receiver:
        hook = start(receiver)
        tell(services, hook)
        deliver(services)
    with services.database.reading() as session:
        (row,) = webhooks.page_deliveries(session, hook.id, Window(1)).data
    assert timedelta(minutes=45) < row.due_at - datetime.now(UTC) < timedelta(minutes=51)
    assert len(receiver.requests) == 1
