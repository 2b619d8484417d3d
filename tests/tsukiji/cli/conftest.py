import pytest
from typer.testing import CliRunner

from devtools.scripted_service import STREAM, Answer, evaluation, events, job, model, page, running
from tsukiji.cli import app

RESULT = {"model_id": "mdl_1", "evaluation_id": "evl_1", "weights_source": "none", "warnings": ["few images of dog"]}
METRIC = {"epoch": 1, "train_loss": 0.5, "valid_loss": 0.25, "accuracy": 0.75, "seconds": 3}
PROGRESS = {"epoch": 1, "epochs": 1, "batch": 1, "batches": 2, "loss": 0.7, "accuracy": None}


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


@pytest.fixture
def trained(service):
    """A service whose trainings succeed."""
    service.answer("POST", "/v1/trainings", Answer(job("queued"), 202))
    service.answer("GET", "/v1/jobs/trn_1", job("succeeded", result=RESULT))
    service.answer("GET", "/v1/evaluations/evl_1", evaluation())
    service.answer("GET", "/v1/models/mdl_1", model())
    service.answer("GET", "/v1/models", page(model()))
    history = events((1, "status", {"status": "running"}), (None, "progress", PROGRESS), (2, "metric", METRIC))
    done = events((3, "done", {"status": "succeeded"}))
    service.answer("GET", "/v1/jobs/trn_1/events", Answer(history + done, headers=STREAM))
    return service
