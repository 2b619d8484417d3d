import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tsukiji.kernel.settings import DataSettings, Settings, WeightsSettings
from tsukiji.vision import backbones
from worker.inference import pretrained_weights


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("HF_HOME", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    return lambda download: Settings(
        data=DataSettings(dir=tmp_path), weights=WeightsSettings(dir=tmp_path / "weights", download=download)
    )


def test_without_downloads_only_what_is_here_counts_and_what_is_added_counts_at_once(settings, tmp_path):
    found = pretrained_weights.AvailableWeights(settings(False))
    assert "resnet34" not in found.weights()
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/resnet34.safetensors").write_bytes(b"0")
    assert "resnet34" in found.weights()
    assert "resnet18" not in found.weights()


def test_with_downloads_a_server_that_is_closed_makes_the_difference(settings, monkeypatch):
    monkeypatch.setattr(pretrained_weights, "answers", lambda address: "pytorch" in address)
    found = pretrained_weights.AvailableWeights(settings(True))
    assert found.weights() is None  # nothing is promised before somebody has answered
    assert found.probe()
    assert "convnext_tiny" not in found.weights()
    assert {"resnet18", "resnet34", "efficientnet_lite0"} <= set(found.weights())
    assert not found.probe()  # not again so soon


def test_where_downloads_are_off_no_server_is_asked(settings, monkeypatch):
    monkeypatch.setattr(pretrained_weights, "answers", None)
    found = pretrained_weights.AvailableWeights(settings(False))
    assert not found.probe()
    assert found.weights() == ["efficientnet_lite0", "efficientnet_lite2"]  # which packages brought


def test_backbones_whose_library_is_not_installed_are_none_of_them(settings, monkeypatch):
    monkeypatch.setattr(pretrained_weights, "answers", lambda address: True)
    found = pretrained_weights.AvailableWeights(settings(True))
    found.probe()
    everything = found.weights()
    monkeypatch.setattr(pretrained_weights, "find_spec", lambda name: None)
    assert set(found.weights()) == {
        name for name in everything if backbones.BACKBONES[name.split(".")[0]].library != "timm"
    }


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(403)

    def log_message(self, *_):
        pass


def test_a_server_that_refuses_is_there_all_the_same():
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert pretrained_weights.answers(address)
    assert not pretrained_weights.answers(address)
