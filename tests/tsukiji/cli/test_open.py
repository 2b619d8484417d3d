import pytest

from db import keys
from db.session import Database
from devtools.scripted_service import NOW
from tsukiji.cli import open_page
from tsukiji.kernel import browser
from tsukiji.kernel.settings import DataSettings, Settings

LINK = {"path": "/sign-in/link?token=abc", "expires_at": NOW}


def test_with_a_key_the_service_is_asked_for_a_link(service, run):
    service.answer("POST", "/v1/sign-in-links", LINK)
    assert run("open").stdout == f"{service.url}/sign-in/link?token=abc\n"


def test_without_a_key_the_link_is_made_where_the_database_is(run, tmp_path, monkeypatch):
    monkeypatch.delenv("TSUKIJI_API_KEY", raising=False)
    monkeypatch.delenv("TSUKIJI_URL", raising=False)
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(tmp_path))
    (tmp_path / browser.ADDRESS_FILE).write_text("http://127.0.0.1:4321")
    place, _, token = run("open").stdout.strip().partition("?token=")
    assert place == "http://127.0.0.1:4321/sign-in/link"
    database = Database(Settings(data=DataSettings(dir=tmp_path)))
    with database.reading() as session:
        assert keys.link_works(session, token)
    database.close()


def test_a_service_elsewhere_takes_a_key(run, monkeypatch):
    monkeypatch.setenv("TSUKIJI_URL", "http://127.0.0.2.example")
    monkeypatch.delenv("TSUKIJI_API_KEY", raising=False)
    result = run("open")
    assert result.exit_code == 1
    assert "TSUKIJI_API_KEY" in result.stderr


@pytest.mark.parametrize(
    ("display", "opened"), [({"DISPLAY": ":0"}, 1), ({}, 0), ({"DISPLAY": ":0", "SSH_CONNECTION": "x"}, 0)]
)
def test_a_browser_is_opened_only_before_a_screen(monkeypatch, display, opened):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in display.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(browser.sys, "platform", "linux")
    urls = []
    monkeypatch.setattr(browser.webbrowser, "open", lambda url: urls.append(url) or True)
    assert open_page.open_browser("http://127.0.0.1/x") == bool(opened)
    assert len(urls) == opened
