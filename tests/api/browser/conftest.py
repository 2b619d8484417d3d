"""The page in a real browser: headless Chromium, found by TSUKIJI_TEST_CHROMIUM or on the PATH (`make browser`)."""

import os
import shutil
import threading

import pytest
import uvicorn
from playwright.sync_api import expect, sync_playwright

from devtools.servers import wait_until
from tests.api.conftest import NO_CHROMIUM

expect.set_options(timeout=30_000)  # a busy machine is no error


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")  # not longer: Playwright keeps an event loop running in the tests' own thread
def chromium():
    binary = os.environ.get("TSUKIJI_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not binary:
        pytest.skip(NO_CHROMIUM)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def url(app, services):
    """The address of the application, served over a socket."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    assert wait_until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    services.stopping.set()
    server.should_exit = True
    thread.join()


@pytest.fixture
def open_page(chromium, url):
    """Open pages by `open_page(width=..., scheme=...)`; what one complains about, or asks of others, fails the test.

    With `refused=True` the service may refuse requests.
    """
    contexts, complaints = [], []

    def open_context(width=1280, height=844, scheme="light", refused=False, **options):
        view = {"width": width, "height": height}
        context = chromium.new_context(viewport=view, color_scheme=scheme, base_url=url, **options)
        contexts.append(context)
        opened = context.new_page()
        opened.on(
            "console",
            lambda line: (
                complaints.append(f"{line.text} {line.location['url']}")
                if line.type in {"error", "warning"}
                and not (refused and line.text.startswith("Failed to load resource"))
                else None
            ),
        )
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on(
            "request",
            lambda sent: None if sent.url.startswith((url, "data:", "blob:")) else complaints.append(sent.url),
        )
        return opened

    yield open_context
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def signed_in(open_page, url, key):
    """Open a page of a browser that is signed in: `signed_in("/datasets/pets", width=360, scheme="dark")`."""

    def open_signed_in(path="/", **options):
        page = open_page(**options)
        page.request.post("/sign-in", form={"key": key}, headers={"Origin": url})
        page.goto(path)
        return page

    return open_signed_in
