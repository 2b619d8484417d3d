import os
import signal
import subprocess
import sys
import threading

import pytest

from devtools.scripted_service import Answer, dataset, failed, job, page, problem
from tsukiji import __version__

COMMAND = [sys.executable, "-c", "from tsukiji.cli import main; main()"]


@pytest.mark.parametrize(("status", "code"), [(400, 1), (403, 3), (404, 4), (409, 1), (422, 1), (500, 1)])
def test_a_refusal_is_a_sentence_a_way_out_and_a_code(service, run, status, code):
    headers = {"x-should-retry": "false"}
    service.answer(
        "GET", "/v1/datasets/x", problem(status, "some", "what happened", hint="what to do", headers=headers)
    )
    result = run("datasets", "show", "x")
    assert result.exit_code == code
    assert result.stderr.splitlines()[:2] == ["what happened", "what to do"]
    assert result.stdout == ""


def test_a_key_that_is_not_taken_says_how_to_give_one_here(service, run, monkeypatch):
    refusal = problem(401, "unauthorized", "An API key is required", hint="Send `Authorization: Bearer KEY`.")
    service.answer("GET", "/v1/datasets/x", refusal)
    result = run("datasets", "show", "x")
    assert result.exit_code == 3
    assert "The key in TSUKIJI_API_KEY is unknown to this service" in result.stderr
    monkeypatch.delenv("TSUKIJI_API_KEY")
    told = run("datasets", "show", "x").stderr
    assert "`tsukiji keys create --name NAME`" in told
    assert "set TSUKIJI_API_KEY" in told
    assert "Bearer" not in told


def test_every_field_that_is_wrong_is_named_as_its_option(service, run):
    errors = [{"pointer": "#/recipe/epochs", "detail": "must be at least 1"}, {"pointer": "#/dataset", "detail": "no"}]
    service.answer("POST", "/v1/trainings", problem(422, "invalid_request", "The request is invalid", errors=errors))
    told = run("train", "pets", "--epochs", "0").stderr
    assert "  --epochs must be at least 1" in told
    assert "  DATASET no" in told
    assert "#/" not in told


def test_one_field_that_is_wrong_is_named_as_its_option(service, run):
    detail = "#/recipe/preset: Input should be 'quick', 'standard' or 'thorough'"
    errors = [{"pointer": "#/recipe/preset", "detail": detail.partition(": ")[2]}]
    service.answer("POST", "/v1/trainings", problem(400, "invalid_request", detail, errors=errors))
    assert run("train", "pets", "--preset", "fast").stderr.splitlines()[0] == detail.replace(
        "#/recipe/preset", "--preset"
    )


def test_fields_whose_option_has_another_name(service, run, tmp_path):
    (tmp_path / "a.png").write_bytes(b"0")
    errors = [{"parameter": "retention_days", "detail": "too much"}, {"parameter": "top_k", "detail": "too many"}]
    service.answer("POST", "/v1/batches", problem(400, "invalid_request", "no", errors=errors))
    told = run("classify", tmp_path, "--model", "m").stderr
    assert "  --keep-days too much" in told
    assert "  --top too many" in told


def test_a_hint_speaks_of_commands_and_says_what_it_points_to(service, run):
    hint = (
        "Undo the later revision first; `revision` is its id; GET /v1/limits shows the limit; lower recipe.batch_size."
    )
    service.answer("GET", "/v1/datasets/x", problem(409, "changed_since", "so", hint=hint, revision="rev_7"))
    told = run("datasets", "show", "x").stderr
    assert "`revision` (rev_7) is its id; `tsukiji limits` shows the limit; lower --batch-size." in told


def test_limits(service, run):
    service.answer("GET", "/v1/limits", {"image_bytes": 104857600, "wait_seconds": 30})
    assert run("limits").stdout.splitlines() == ["image bytes\t104,857,600", "wait seconds\t30"]
    assert run("limits", "--json").stdout == '{"image_bytes": 104857600, "wait_seconds": 30}\n'


@pytest.mark.parametrize(("record", "code"), [(job("succeeded"), 0), (failed("nan_loss"), 5), (job("expired"), 5)])
def test_a_job_s_end_is_the_exit_code(service, run, record, code):
    service.answer("GET", "/v1/jobs/trn_1", record)
    assert run("jobs", "watch", "trn_1").exit_code == code


def test_a_failed_job_says_why_and_what_to_do(service, run):
    service.answer("GET", "/v1/jobs/trn_1", failed("nan_loss"))
    result = run("jobs", "watch", "trn_1", "--json")
    assert "nan_loss: it was nan_loss.\ndo something else\n" in result.stderr


def test_cancelled_while_it_was_watched(service, run):
    service.answer("GET", "/v1/jobs/bat_1", job("running", "bat_1", "batch"), job("cancelled", "bat_1", "batch"))
    assert run("jobs", "watch", "bat_1").exit_code == 6


def test_time_to_wait_is_over(service, run):
    service.answer("GET", "/v1/jobs/bat_1", Answer(job("running", "bat_1", "batch"), headers={"Retry-After": "0"}))
    result = run("jobs", "watch", "bat_1", "--timeout", "0.05")
    assert result.exit_code == 7
    assert "tsukiji jobs watch bat_1" in result.stderr


@pytest.mark.parametrize("arguments", [["jobs", "watch"], ["nonsense"], ["train", "x", "--epochs", "many"]])
def test_wrong_usage(run, arguments):
    assert run(*arguments).exit_code == 2


def test_a_wrong_address_is_wrong_usage(run, monkeypatch):
    monkeypatch.setenv("TSUKIJI_URL", "nowhere")
    assert run("datasets", "ls").exit_code == 2


def test_nobody_there(monkeypatch):
    environment = {**os.environ, "TSUKIJI_URL": "http://127.0.0.1:9"}
    result = subprocess.run([*COMMAND, "doctor"], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "tsukiji up" in result.stderr
    assert "Traceback" not in result.stderr


def test_something_else_answers_there(service, run):
    service.answer("GET", "/v1/datasets/x", Answer(b"<html>hello</html>"))
    result = run("datasets", "show", "x")
    assert result.exit_code == 1
    assert "TSUKIJI_URL" in result.stderr


def test_ctrl_c_ends_the_waiting_and_never_the_job(service):
    polled, over = threading.Event(), threading.Event()

    def hold(_asked):
        polled.set()
        over.wait(20)
        return job("running")

    service.answer("POST", "/v1/trainings", Answer(job("queued"), 202))
    service.answer("GET", "/v1/jobs/trn_1", hold)
    command = [*COMMAND, "train", "pets", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert polled.wait(20)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
        over.set()
    assert process.returncode == 130
    assert "tsukiji jobs watch trn_1" in stderr
    assert "Traceback" not in stderr
    assert stdout == ""
    assert not service.asked_for("POST", "/v1/jobs/trn_1/cancel")


def test_a_reader_that_has_read_enough_is_no_error(service):
    service.answer("GET", "/v1/datasets", page(*[dataset(f"pets {number}") for number in range(5000)]))
    command = [*COMMAND, "datasets", "ls", "--limit", "5000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "name\timages\tlabels\tcreated\tkind\tid\n"
        process.stdout.close()
        assert process.stderr.read() == ""


@pytest.mark.parametrize("answer", [Answer({"data": 7}), problem(422, "invalid_request", "unknown field"), None])
def test_a_service_of_another_version_is_named(service, run, answer):
    service.answer("GET", "/v1/models/pets", answer or problem(404, "not_found", "no such address"))
    service.answer("GET", "/v1/info", {"version": "99.1"})
    told = run("models", "show", "pets").stderr
    assert f"The service has version 99.1, this program {__version__}" in told
    service.answer("GET", "/v1/info", {"version": __version__})
    assert "Use the same version" not in run("models", "show", "pets").stderr


def test_a_key_that_is_revoked_in_the_middle_loses_no_job(service, run):
    service.answer("GET", "/v1/jobs/bat_1", job("running", "bat_1", "batch"), problem(401, "unauthorized", "no"))
    result = run("jobs", "watch", "bat_1")
    assert result.exit_code == 3
    assert "Lost sight of batch bat_1. It continues. `tsukiji jobs watch bat_1` follows it" in result.stderr
    assert "tsukiji keys create" in result.stderr
