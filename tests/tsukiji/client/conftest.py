import pytest

from devtools.scripted_service import running
from tsukiji import Client


@pytest.fixture
def service():
    with running() as service:
        yield service


@pytest.fixture
def slept():
    """The seconds the client wanted to sleep; it never does in tests."""
    return []


@pytest.fixture
def client(service, slept):
    with Client(service.url, "tsk_secret") as client:
        client._transport.sleep = slept.append
        yield client
