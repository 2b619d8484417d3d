import pytest
from typer.testing import CliRunner

from devtools.scripted_service import running
from tsukiji.cli import app


@pytest.fixture
def service(monkeypatch):
    with running() as service:
        monkeypatch.setenv("TSUKIJI_URL", service.url)
        monkeypatch.setenv("TSUKIJI_API_KEY", "tsk_secret")
        yield service


@pytest.fixture
def run():
    """Run a command line; the result has exit_code, stdout and stderr."""
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
