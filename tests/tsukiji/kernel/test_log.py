import json
import logging
import threading
import warnings
from contextvars import copy_context

import pytest
import structlog

from tsukiji.kernel import log
from tsukiji.kernel.settings import LogSettings


@pytest.fixture(autouse=True)
def logging_as_before():
    root = logging.root
    handlers, level = root.handlers[:], root.level
    others = [logging.getLogger(name) for name in (*log.OWN_HANDLERS, *log.NOISY)]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in others]
    yield
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)
    for logger, own, own_level, propagate in before:
        logger.handlers[:], logger.propagate = own, propagate
        logger.setLevel(own_level)


@pytest.fixture
def written(capsys):
    """Configure, run, and return what was written: nothing on standard output, lines on standard error."""

    def run(action, **settings):
        log.configure(LogSettings(**settings), "api")
        action()
        streams = capsys.readouterr()
        assert streams.out == ""
        return streams.err.splitlines()

    return run


def test_a_line_of_json_says_what_where_when_and_about_whom(written):
    def act():
        with structlog.contextvars.bound_contextvars(request_id="req_1", job_id="trn_1"):
            structlog.get_logger("api.jobs").info("job_claimed", attempt=2)

    (line,) = written(act, format="json")
    found = json.loads(line)
    assert found.pop("timestamp").endswith("Z")
    assert found == {
        "event": "job_claimed",
        "level": "info",
        "logger": "api.jobs",
        "program": "api",
        "request_id": "req_1",
        "job_id": "trn_1",
        "attempt": 2,
    }


@pytest.mark.parametrize("name", ["uvicorn.error", "uvicorn.access", "celery.worker", "alembic", "somebody"])
def test_logs_of_third_parties_come_in_the_same_form_and_once(written, name):
    logging.getLogger(name).addHandler(logging.StreamHandler())  # as uvicorn and Celery do

    def act():
        with structlog.contextvars.bound_contextvars(request_id="req_1"):
            logging.getLogger(name).warning("%s is at %d percent", "disk", 99)

    try:
        lines = written(act, format="json")
    finally:
        logging.getLogger(name).handlers.clear()
    found = json.loads(lines[-1])
    assert found["event"] == "disk is at 99 percent"
    assert (found["level"], found["program"], found["request_id"]) == ("warning", "api", "req_1")


def test_warnings_are_logged(written):
    def act():
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning("a column is gone", UserWarning, "file.py", 1)

    (line,) = written(act, format="json")
    assert "a column is gone" in json.loads(line)["event"]


def test_an_error_carries_its_traceback_as_data_and_without_variables(written):
    def act():
        password = "tuna-secret"
        try:
            {}[len(password)]
        except KeyError:
            structlog.get_logger().exception("job_failed")

    (line,) = written(act, format="json")
    assert json.loads(line)["exception"][0]["exc_type"] == "KeyError"
    assert "tuna-secret" not in line


def test_the_level_is_kept_and_chatter_is_left_out(written):
    def act():
        structlog.get_logger().debug("too_small")
        logging.getLogger("somebody").debug("too small")
        logging.getLogger("httpx2").info("GET / 200")
        structlog.get_logger().info("seen")

    assert [json.loads(line)["event"] for line in written(act, format="json", level="info")] == ["seen"]


def test_auto_is_json_where_nobody_watches(written):
    (line,) = written(lambda: structlog.get_logger().info("seen"))
    assert json.loads(line)["event"] == "seen"


def test_console_is_for_people(written):
    (line,) = written(lambda: structlog.get_logger().info("job_claimed", job_id="trn_1"), format="console")
    assert "job_claimed" in line
    assert "job_id=trn_1" in line


def test_configuring_again_does_not_double_lines(written):
    log.configure(LogSettings(format="json"), "api")
    assert len(written(lambda: structlog.get_logger().info("seen"), format="json")) == 1


def test_ids_that_are_known_later_are_in_the_lines_of_all_threads(written):
    def find_caller():
        log.identify(key_id="key_1")
        structlog.get_logger("api").info("in_thread")

    def act():
        with log.identified(request_id="req_1"):
            thread = threading.Thread(target=copy_context().run, args=(find_caller,))
            thread.start()
            thread.join()
            structlog.get_logger("api").info("request_served")
        structlog.get_logger("api").info("afterwards")
        log.identify(key_id="key_2")

    lines = [json.loads(line) for line in written(act, format="json")]
    ids = [(line["event"], line.get("request_id"), line.get("key_id")) for line in lines]
    served = ("req_1", "key_1")
    assert ids == [("in_thread", *served), ("request_served", *served), ("afterwards", None, None)]
