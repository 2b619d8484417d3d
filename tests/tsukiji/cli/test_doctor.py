import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

import tsukiji
from devtools.scripted_service import problem
from tsukiji.cli import doctor


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
    monkeypatch.setattr(doctor, "NVIDIA_DRIVER", path)
    return path


@pytest.fixture
def findings(service, run):
    def read():
        result = run("doctor", "--json")
        found = [json.loads(line) for line in result.stdout.splitlines()]
        return result, {finding["check"]: finding for finding in found}

    return read


def test_all_is_well(service, findings):
    workers = [worker("train"), worker("infer"), worker("intake")]
    service.answer("GET", "/v1/info", {"version": "0.1.0", "workers": workers})
    result, found = findings()
    assert result.exit_code == 0
    assert list(found) == [
        *("python", "service", "key", "workers", "disk", "programs", "pytorch"),
        *("weights resnet34", "weights efficientnet_lite0", "weights efficientnet_lite2", "weights convnext_atto"),
    ]
    assert all(finding["ok"] and not finding["warning"] for finding in found.values())
    assert found["weights resnet34"]["detail"] == "weights folder (resnet34.safetensors), 2.0 MB"


def test_weights_that_are_not_here_are_a_warning_with_the_way_out(service, findings, folder, run):
    (folder / "resnet34.safetensors").unlink()
    service.answer("GET", "/v1/info", {"version": "0.1.0", "workers": [worker("train,infer,intake")]})
    result, found = findings()
    assert result.exit_code == 0
    assert found["weights resnet34"]["warning"]
    assert "tsukiji weights fetch resnet34" in result.stderr
    assert "tsukiji weights add FILE" in result.stderr
    assert "weights resnet34\twarning\tnot on this machine" in run("doctor").stdout


def test_a_client_alone_has_no_weights(service, findings, tmp_path, monkeypatch):
    monkeypatch.setattr(tsukiji, "__file__", str(tmp_path / "site-packages" / "tsukiji" / "__init__.py"))
    service.answer("GET", "/v1/info", {"version": "0.1.0", "workers": [worker("train,infer,intake")]})
    result, found = findings()
    assert result.exit_code == 0
    assert not [check for check in found if check.startswith("weights")]


@pytest.mark.parametrize(("packages", "gpu", "build", "warned"), [
    (["torch", "nvidia-cudnn-cu13"], True, "with CUDA", False),
    (["torch", "nvidia-cudnn-cu13"], False, "with CUDA", True),
    (["torch"], False, "for CPUs", False),
])  # fmt: skip
def test_pytorch_for_gpus_on_a_machine_without_any(
    service, findings, driver, monkeypatch, packages, gpu, build, warned
):
    monkeypatch.setattr(doctor, "distributions", lambda: [SimpleNamespace(name=name) for name in packages])
    if not gpu:
        driver.rmdir()
    service.answer("GET", "/v1/info", {"version": "0.1.0", "workers": [worker("train,infer,intake")]})
    result, found = findings()
    assert found["pytorch"]["detail"].endswith(build)
    assert (found["pytorch"]["warning"], "UV_TORCH_BACKEND=cpu" in result.stderr) == (warned, warned)


def test_a_worker_that_fell_silent_is_none(service, findings):
    workers = [worker("train", 300), worker("infer"), worker("intake")]
    service.answer("GET", "/v1/info", {"version": "0.1.0", "workers": workers})
    result, found = findings()
    assert result.exit_code == 1
    assert not found["workers"]["ok"]
    assert "No worker serves train" in result.stderr


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
