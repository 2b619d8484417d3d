import json
import locale
import resource
import sys
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

import tsukiji
from devtools.scripted_service import Answer, Handler, job, page, problem
from tsukiji.cli import doctor, doctor_machine, doctor_service


def worker(queue, seconds_ago=1):
    seen = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return {"queue": queue, "worker": "w", "device": "cpu", "seen_at": seen.isoformat()}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A weights folder with weights in it; the caches are empty."""
    for name in ("TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    monkeypatch.setenv("TSUKIJI_WEIGHTS_DIR", str(tmp_path))
    for name in ("resnet34", "convnext_atto"):
        (tmp_path / f"{name}.safetensors").write_bytes(bytes(2_000_000))
    return tmp_path


@pytest.fixture(autouse=True)
def driver(tmp_path, monkeypatch):
    """A machine with an NVIDIA driver."""
    path = tmp_path / "nvidia"
    path.mkdir()
    monkeypatch.setattr(doctor_machine, "NVIDIA_DRIVER", path)
    return path


@pytest.fixture(autouse=True)
def client_only(monkeypatch):
    """No service is set up here; `tests/db/test_doctor.py` looks at one."""
    monkeypatch.setattr(doctor, "serves_here", lambda: False)


@pytest.fixture
def findings(service, run):
    def read():
        result = run("doctor", "--json")
        found = [json.loads(line) for line in result.stdout.splitlines()]
        return result, {finding["check"]: finding for finding in found}

    return read


ALL = [worker("train"), worker("infer"), worker("intake"), worker("dispatcher")]


def answer_well(service, **members):
    service.answer("GET", "/v1/info", {"version": tsukiji.__version__, "workers": ALL} | members)


def test_all_is_well(service, findings):
    answer_well(service)
    result, found = findings()
    assert result.exit_code == 0
    assert [check for check in found if check != "encoding"] == [
        *("python", "disk", "memory", "programs", "pytorch"),
        *("weights resnet34", "weights efficientnet_lite0", "weights efficientnet_lite2", "weights convnext_atto"),
        *("service", "key", "workers", "uploads"),
    ]
    assert all(finding["ok"] for finding in found.values())
    assert found["weights resnet34"]["detail"] == "weights folder (resnet34.safetensors), 2.0 MB"


def test_weights_that_are_not_here_are_a_warning_with_the_way_out(service, findings, folder, run):
    (folder / "resnet34.safetensors").unlink()
    answer_well(service)
    result, found = findings()
    assert result.exit_code == 0
    assert found["weights resnet34"]["warning"]
    assert "tsukiji weights fetch resnet34" in result.stderr
    assert "tsukiji weights add FILE" in result.stderr
    assert "weights resnet34\twarning\tnot on this machine" in run("doctor").stdout


def test_a_client_alone_has_no_weights(service, findings, tmp_path, monkeypatch):
    monkeypatch.setattr(tsukiji, "__file__", str(tmp_path / "site-packages" / "tsukiji" / "__init__.py"))
    answer_well(service)
    result, found = findings()
    assert result.exit_code == 0
    assert not [check for check in found if check.startswith("weights")]


@pytest.mark.parametrize(("packages", "gpu", "build", "warned"), [
    (["torch", "nvidia-cudnn-cu13"], True, "with CUDA", False),
    (["torch", "nvidia-cudnn-cu13"], False, "with CUDA", True),
    (["torch"], False, "for CPUs", False),
    (["torch"], True, "though there is an NVIDIA GPU", True),
])  # fmt: skip
def test_pytorch_for_gpus_on_a_machine_without_any(
    service, findings, driver, monkeypatch, packages, gpu, build, warned
):
    monkeypatch.setattr(doctor_machine, "distributions", lambda: [SimpleNamespace(name=name) for name in packages])
    if not gpu:
        driver.rmdir()
    answer_well(service)
    result, found = findings()
    assert found["pytorch"]["detail"].endswith(build)
    assert (found["pytorch"]["warning"], "UV_TORCH_BACKEND=" in result.stderr) == (warned, warned)


def test_a_worker_that_fell_silent_is_none(service, findings):
    answer_well(service, workers=[worker("train", 300), *ALL[1:]])
    result, found = findings()
    assert result.exit_code == 1
    assert not found["workers"]["ok"]
    assert "There is no train" in result.stderr


def test_a_wrong_key(service, findings):
    service.answer("GET", "/v1/info", problem(401, "unauthorized", "This key is not known."))
    result, found = findings()
    assert found["service"]["ok"]
    assert found["key"]["detail"] == "This key is not known."
    assert "tsukiji keys create" in result.stderr


def test_no_service(findings, monkeypatch):
    monkeypatch.setenv("TSUKIJI_URL", "http://127.0.0.1:9")
    result, found = findings()
    assert not found["service"]["ok"]
    assert "tsukiji up" in result.stderr
    assert "key" not in found


# --- the service and the way to it -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "hint"), [("127.0.0.1:9", "such as http://"), ("{}/v1", "without /v1"), ("{}", "TSUKIJI_URL")]
)
def test_an_address_that_leads_elsewhere(service, findings, monkeypatch, url, hint):
    service.answer("GET", "/v1/info", Answer(b"<html>a blog", 200, {"Content-Type": "text/html"}))
    monkeypatch.setenv("TSUKIJI_URL", url.format(service.url))
    result, found = findings()
    assert (result.exit_code, found["service"]["ok"]) == (1, False)
    assert hint in result.stderr


def test_another_version(service, findings):
    answer_well(service, version="9.9.9")
    result, found = findings()
    assert found["versions"]["warning"]
    assert "Install 9.9.9 here" in result.stderr


def test_a_worker_of_another_version(service, findings):
    answer_well(service, workers=[ALL[0] | {"version": "0.0.1"}, *ALL[1:]])
    result, found = findings()
    assert found["versions"]["warning"]
    assert "0.0.1" in found["versions"]["detail"]
    assert "from one version" in result.stderr


def test_a_key_that_expires_soon(service, findings):
    answer_well(service)
    soon = datetime.now(UTC) + timedelta(days=3)
    key = {"id": "key_1", "name": "ci", "prefix": "tsk_abcd", "created_at": soon.isoformat()}
    service.answer("GET", "/v1/keys/self", key | {"expires_at": soon.isoformat()})
    result, found = findings()
    assert found["key"]["warning"]
    assert "keys rotate tsk_abcd" in result.stderr


def test_no_dispatcher(service, findings):
    answer_well(service, workers=ALL[:-1])
    result, found = findings()
    assert not found["workers"]["ok"]
    assert "no dispatcher" in result.stderr


def test_work_that_waits_although_none_runs(service, findings):
    answer_well(service)
    service.answer("GET", "/v1/jobs", lambda asked: page(*[job("queued")][: asked.query["status"] == ["queued"]]))
    result, found = findings()
    assert (result.exit_code, found["queue"]["ok"]) == (1, False)
    assert "1 jobs wait, since 23 Nov" in found["queue"]["detail"]
    service.answer("GET", "/v1/jobs", page(job("running")))
    assert "queue" not in findings()[1], "it waits for what runs"


@pytest.mark.parametrize(("members", "words"), [
    ({"enabled": False, "disabled_because": "failing"}, "tsukiji webhooks enable whk_1"),
    ({"enabled": True, "failing_since": "2026-11-20T10:00:00Z"}, "tsukiji webhooks deliveries whk_1"),
    ({"enabled": False, "disabled_because": "asked"}, None),
])  # fmt: skip
def test_webhooks_that_nobody_hears(service, findings, members, words):
    answer_well(service)
    hook = {"id": "whk_1", "url": "https://example.com/hook", "events": ["*"], "created_at": "2026-11-01T10:00:00Z"}
    service.answer("GET", "/v1/webhooks", page(hook | members))
    result, found = findings()
    assert found.get("webhooks", {}).get("warning", False) == (words is not None)
    assert words is None or words in result.stderr


def test_a_clock_that_is_wrong(service, findings, monkeypatch):
    answer_well(service)
    monkeypatch.setattr(Handler, "date_time_string", lambda *_: "Mon, 23 Nov 2026 12:00:00 GMT")
    service.answer("GET", "/livez", {"status": "ok"})
    assert findings()[1]["clock"]["warning"]


def test_a_proxy_that_holds_events_back(service, findings, monkeypatch):
    answer_well(service)
    stream = Answer(b"id: 1\n\n", 200, {"Content-Type": "text/event-stream"})
    service.answer("GET", "/v1/events", stream)
    assert findings()[1]["events"]["ok"]
    monkeypatch.setattr(doctor_service, "SECONDS", 0.2)
    service.answer("GET", "/v1/events", lambda _: time.sleep(0.6) or stream)
    result, found = findings()
    assert (result.exit_code, found["events"]["ok"]) == (1, False)
    assert "proxy_buffering off" in result.stderr


@pytest.mark.parametrize("answer", [Answer(b"<html>", 413, {"Content-Type": "text/html"}), Answer(cut=True)])
def test_a_proxy_that_refuses_uploads(service, findings, answer):
    answer_well(service)
    service.answer("POST", "/v1/datasets/doctor/imports", answer)
    result, found = findings()
    assert (result.exit_code, found["uploads"]["ok"]) == (1, False)
    assert "client_max_body_size" in result.stderr


def test_a_service_elsewhere_without_tls(service, findings, monkeypatch):
    answer_well(service)
    monkeypatch.setattr(doctor_service, "LOOPBACK", set())
    assert findings()[1]["tls"]["warning"]


# --- the machine -----------------------------------------------------------------------------------------------------


def test_a_full_disk(service, findings, monkeypatch):
    answer_well(service)
    monkeypatch.setattr(doctor_machine, "FREE_BYTES", 2**60)
    result, found = findings()
    assert (result.exit_code, found["disk"]["ok"]) == (1, False)


def test_a_container_with_little_memory(service, findings, monkeypatch, tmp_path):
    answer_well(service)
    (tmp_path / "memory.max").write_text(f"{2**30}\n")
    monkeypatch.setattr(doctor_machine, "CGROUP", tmp_path / "memory.max")
    found = findings()[1]["memory"]
    assert (found["detail"], found["warning"]) == ("1.0 GiB", True)


def test_little_shared_memory(service, findings, monkeypatch):
    answer_well(service)
    monkeypatch.setattr(doctor_machine, "SHARED_BYTES", 2**60)
    result, found = findings()
    assert found["shared memory"]["warning"]
    assert "--shm-size" in result.stderr


def test_few_open_files(service, findings):
    answer_well(service)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, limits[1]))
    try:
        assert findings()[1]["open files"]["detail"] == "at most 512"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_packages_that_are_compiled_at_each_start(service, findings, monkeypatch, tmp_path):
    answer_well(service)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(doctor_machine, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / name / "x.py")))
    assert findings()[1]["bytecode"]["warning"]
    for name in doctor_machine.COMPILED:
        (tmp_path / name / "__pycache__").mkdir(parents=True)
        (tmp_path / name / "__pycache__" / "x.pyc").touch()
    assert "bytecode" not in findings()[1]


def test_names_of_files_that_are_not_utf8(service, findings, monkeypatch):
    answer_well(service)
    monkeypatch.setattr(locale, "getpreferredencoding", lambda do_setlocale=True: "ANSI_X3.4-1968")
    result, found = findings()
    assert found["encoding"]["warning"]
    assert "LANG=C.UTF-8" in result.stderr


# --- the programs ----------------------------------------------------------------------------------------------------


def test_what_the_programs_find_is_told_as_well(service, findings, monkeypatch, tmp_path):
    answer_well(service)
    monkeypatch.setattr(doctor, "serves_here", lambda: True)
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TSUKIJI_JOBS_LEASE_SECONDS", "3")
    result, found = findings()
    assert (result.exit_code, found["leases"]["ok"]) == (1, False)
    assert found["database"]["warning"], "there is none yet"


def test_programs_that_do_not_start(service, findings, monkeypatch):
    answer_well(service)
    monkeypatch.setattr(doctor, "serves_here", lambda: True)
    monkeypatch.setattr(doctor, "PROGRAM", "db.that_nobody_wrote")
    result, found = findings()
    assert (result.exit_code, found["programs"]["ok"]) == (1, False)
    assert "that_nobody_wrote" in found["programs"]["detail"]
