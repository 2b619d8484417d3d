import signal

import pytest

from tests.e2e.service import Service


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    """A service on nothing but files, one for all tests that leave it running."""
    service = Service(tmp_path_factory.mktemp("running"), {"TSUKIJI_WEIGHTS_DOWNLOAD": "false"})
    yield service
    service.end(signal.SIGTERM)


@pytest.fixture
def service(running, monkeypatch):
    """The same, where the command line and clients look for one."""
    monkeypatch.setenv("TSUKIJI_URL", running.client.url)
    monkeypatch.setenv("TSUKIJI_API_KEY", running.key)
    return running
