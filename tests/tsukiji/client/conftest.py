import pytest

from devtools.scripted_service import running
from tests.tsukiji.client.blocking import BlockingClient
from tsukiji import Client


@pytest.fixture
def service():
    with running() as service:
        yield service


@pytest.fixture
def slept():
    """The seconds the client wanted to sleep; it never does in tests."""
    return []


@pytest.fixture(params=[Client, BlockingClient], ids=["sync", "async"])
def connect(request):
    """The class of the client: every test is of both."""
    return request.param


@pytest.fixture
def sleep(connect, slept):
    """What the client calls to sleep."""

    async def sleep(seconds):
        slept.append(seconds)

    return slept.append if connect is Client else sleep


@pytest.fixture
def client(connect, service, sleep):
    with connect(service.url, "tsk_secret") as client:
        client._transport.sleep = sleep
        yield client


@pytest.fixture
def set_both(monkeypatch):
    """Set a constant of a module of both clients."""

    def set_(place, value):
        for side in ("_sync", "_async"):
            monkeypatch.setattr(f"tsukiji.client.{side}.{place}", value)

    return set_
