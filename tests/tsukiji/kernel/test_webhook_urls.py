import pytest

from tsukiji.errors import WebhookUrlNotAllowed
from tsukiji.kernel.webhook_urls import check_url

HOSTS = ["*.example.org", "n8n.internal"]


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/x?a=b",
        "http://n8n.internal:5678/hook",
        "https://N8N.internal/",
        "https://a.example.org:443/",
    ],
)
def test_allowed_hosts_are_allowed_and_those_written_out_with_any_port(url):
    assert check_url(url, HOSTS).host


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/",
        "https://a.example.org:8443/",
        "https://user:password@a.example.org/",
        "https://example.org.elsewhere.example/",
        "ftp://a.example.org/",
        "https://",
        "https://[::1",
        "a.example.org",
    ],
)
def test_others_are_refused(url):
    with pytest.raises(WebhookUrlNotAllowed):
        check_url(url, HOSTS)


def test_any_public_host_is_not_any_port():
    assert check_url("https://anything.example/", ["*"])
    with pytest.raises(WebhookUrlNotAllowed):
        check_url("http://anything.example:6379/", ["*"])
