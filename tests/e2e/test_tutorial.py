"""The tutorial can be followed in a real browser, on a service as `make up` starts it; its pictures are its steps."""

import os
import re
import shutil
import signal

import pytest
from playwright.sync_api import sync_playwright

from devtools import tutorial
from devtools.settings_pages import ROOT
from tests.api.conftest import NO_CHROMIUM
from tests.e2e.test_service import Service

PAGE = ROOT / "docs" / "tutorials" / "first-model.md"


@pytest.fixture
def service(tmp_path):
    running = Service(tmp_path, {"TSUKIJI_WEIGHTS_DOWNLOAD": "false"})
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_tutorial_can_be_followed(service, tmp_path):
    binary = os.environ.get("TSUKIJI_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not binary:
        pytest.skip(NO_CHROMIUM)
    seen = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        url = service.client.url
        context = browser.new_context(viewport={"width": 1280, "height": 800}, base_url=url)
        context.request.post("/sign-in", form={"key": service.key}, headers={"Origin": url})
        tutorial.follow(context.new_page(), seen.append, tutorial.write_digit(tmp_path / "eight.png"))
        browser.close()
    model = service.client.models.get("production")
    assert model.evaluation.metrics.accuracy > 0.85
    batch = service.client.batches.list()[0]
    assert batch.counts.succeeded == model.evaluation.metrics.images
    assert {*seen, "label"} == pictures()


def pictures():
    return set(re.findall(r"\]\(\.\./images/(\w+)\.png\)", PAGE.read_text("utf-8")))


def test_the_names_on_the_page_are_those_of_the_steps():
    """What the tutorial says to press is what the steps press."""
    text, steps = PAGE.read_text("utf-8"), (ROOT / "devtools" / "tutorial.py").read_text("utf-8")
    for name in ("Load the sample", "Start training", "Look at the model", "Promote to production", "Image size"):
        assert f"*{name}*" in text
        assert f'"{name}"' in steps
