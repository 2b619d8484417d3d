"""What reaches the service from elsewhere: addresses it listens on, proxies, pages of other origins."""

import pytest
from starlette.testclient import TestClient

from api.main import create_app
from tests.api.conftest import settings_in
from tsukiji.errors import Invalid
from tsukiji.kernel import exposure
from tsukiji.kernel.settings import ApiSettings

TLS = {"tls_certificate": "cert.pem", "tls_key": "key.pem"}


@pytest.mark.parametrize(
    ("host", "settings"),
    [
        ("127.0.0.1", {}),
        ("127.0.0.2", {}),
        ("::1", {}),
        ("localhost", {}),
        ("0.0.0.0", TLS),
        ("192.168.1.5", {"proxies": ["192.168.1.1"]}),
    ],
)
def test_it_listens_on_this_machine_or_behind_tls(host, settings):
    exposure.check(host, ApiSettings(**settings))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "tsukiji.example"])
def test_it_refuses_to_listen_to_a_network_in_clear(host):
    with pytest.raises(Invalid, match="without TLS") as refused:
        exposure.check(host, ApiSettings())
    assert "TSUKIJI_API_PROXIES" in refused.value.hint


def test_tls_needs_both_files():
    with pytest.raises(Invalid, match="need each other"):
        exposure.check("127.0.0.1", ApiSettings(tls_key="key.pem"))


ASKED = {"Origin": "https://lab.example", "Access-Control-Request-Method": "POST"}


def test_other_origins_are_answered_only_if_listed(stranger, services, tmp_path):
    assert "access-control-allow-origin" not in stranger.options("/v1/datasets", headers=ASKED).headers
    assert "access-control-allow-origin" not in stranger.get("/v1/info", headers=ASKED).headers
    settings = settings_in(tmp_path).model_copy(update={"api": ApiSettings(cors_origins=["https://lab.example"])})
    with TestClient(create_app(settings, lambda _settings: services), base_url="http://127.0.0.1:8000") as listed:
        allowed = listed.options("/v1/datasets", headers=ASKED | {"Access-Control-Request-Headers": "authorization"})
        assert allowed.headers["access-control-allow-origin"] == "https://lab.example"
        assert "access-control-allow-credentials" not in allowed.headers
        refused = listed.options("/v1/datasets", headers=ASKED | {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in refused.headers
        assert listed.get("/v1/info", headers=ASKED).headers["access-control-allow-origin"] == "https://lab.example"
