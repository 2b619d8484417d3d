import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from devtools.settings_pages import ROOT, variables
from tsukiji.errors import Invalid
from tsukiji.kernel.settings import GROUPS, load

NAMES = [name for kind in GROUPS.values() for name, _ in variables(kind)]


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_every_variable_that_the_programs_name_is_documented():
    documented = set(
        re.findall(r"TSUKIJI_[A-Z_]*[A-Z]", (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8"))
    )
    sources = [path for room in ("api", "db", "training", "tsukiji", "worker") for path in (ROOT / room).rglob("*.py")]
    named = {
        name for path in sources for name in re.findall(r"\bTSUKIJI_[A-Z]+_?[A-Z_]*[A-Z]\b", path.read_text("utf-8"))
    }
    assert len(named) > 5
    assert named <= documented


def test_every_setting_has_a_variable_of_its_own_and_a_description():
    assert len(set(NAMES)) == len(NAMES)
    assert all(field.description for kind in GROUPS.values() for _, field in variables(kind))


def test_without_variables_everything_has_its_default():
    settings = load()
    assert settings.api.port == 8000
    assert settings.database_url == f"sqlite:///{Path('tsukiji-data').resolve()}/tsukiji.db"
    assert settings.storage_url == f"file://{Path('tsukiji-data').resolve()}/blobs"


def test_the_weights_folder_lies_in_the_data_folder_unless_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(tmp_path))
    assert load().weights_dir == tmp_path / "weights"
    monkeypatch.setenv("TSUKIJI_WEIGHTS_DIR", "/somewhere")
    assert load().weights_dir == Path("/somewhere")


def test_variables_are_read(monkeypatch):
    monkeypatch.setenv("TSUKIJI_DATABASE_URL", "postgres://somebody@somewhere/tsukiji")
    monkeypatch.setenv("TSUKIJI_API_ALLOWED_HOSTS", json.dumps(["photos.example"]))
    monkeypatch.setenv("TSUKIJI_WEIGHTS_DOWNLOAD", "false")
    settings = load()
    assert settings.database_url == "postgresql+psycopg://somebody@somewhere/tsukiji"
    assert settings.api.allowed_hosts == ["photos.example"]
    assert settings.weights.download is False


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_variable_counts_as_unset(name, monkeypatch):
    expected = load()
    monkeypatch.setenv(name, "")
    assert load() == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TSUKIJI_API_PORT", "eighty"),
        ("TSUKIJI_API_PORT", "65536"),
        ("TSUKIJI_API_ALLOWED_HOSTS", "photos.example"),
        ("TSUKIJI_LIMIT_IMAGE_BYTES", "0"),
        ("TSUKIJI_JOBS_LEASE_SECONDS", "-1"),
        ("TSUKIJI_LOG_LEVEL", "loud"),
    ],
)
def test_a_malformed_value_names_its_variable(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(Invalid, match=name):
        load()


def test_settings_do_not_change_after_they_are_read():
    settings = load()
    with pytest.raises(ValidationError):
        settings.api.port = 1
    with pytest.raises(ValidationError):
        settings.api = settings.api


ISSUER = {"TSUKIJI_OIDC_ISSUER": "https://id.example/realms/lab", "TSUKIJI_OIDC_CLIENT_ID": "tsukiji"}


def test_an_openid_provider_is_set_by_the_address_of_its_document_or_its_own(monkeypatch):
    for name, value in ISSUER.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TSUKIJI_OIDC_CLIENT_SECRET", "hush")
    monkeypatch.setenv("TSUKIJI_OIDC_ROLES", json.dumps({"ml": "editor"}))
    assert load().oidc.issuer == ISSUER["TSUKIJI_OIDC_ISSUER"]
    assert load().oidc.shown_name == "id.example"
    assert load().oidc.roles == {"ml": "editor"}
    assert "hush" not in repr(load()), "what prints settings must not print the secret"
    document = ISSUER["TSUKIJI_OIDC_ISSUER"] + "/.well-known/openid-configuration"
    monkeypatch.setenv("TSUKIJI_OIDC_ISSUER", document)
    assert load().oidc.issuer == ISSUER["TSUKIJI_OIDC_ISSUER"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ISSUER", "http://id.example"),
        ("ISSUER", "http://localhost.evil.example"),
        ("ISSUER", "http://localhost@evil.example"),
        ("ISSUER", "https://id.example?a=b"),
        ("ISSUER", "id.example"),
        ("CLIENT_ID", ""),
        ("ROLES", '{"ml": "king"}'),
        ("ROLES", "ml"),
    ],
)
def test_an_openid_provider_that_is_set_wrongly_is_refused(monkeypatch, name, value):
    for known, right in ISSUER.items():
        monkeypatch.setenv(known, right)
    monkeypatch.setenv(f"TSUKIJI_OIDC_{name}", value)
    with pytest.raises(Invalid, match=f"TSUKIJI_OIDC_{name}"):
        load()
