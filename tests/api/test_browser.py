"""The page in a real browser: headless Chromium, found by TSUKIJI_TEST_CHROMIUM or on the PATH (`make browser`)."""

import os
import shutil
import threading

import pytest
import uvicorn
from playwright.sync_api import expect, sync_playwright

from devtools.servers import wait_until
from tests.api.conftest import NO_CHROMIUM, picture
from tests.api.test_batches import Worker

pytestmark = pytest.mark.slow
expect.set_options(timeout=30_000)  # a busy machine is no error

DROP = """async ([data, count = 1]) => {
    const transfer = new DataTransfer();
    for (let number = 1; number <= count; number++)
        transfer.items.add(new File([new Uint8Array(data)], `dropped ${number}.png`, { type: "image/png" }));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
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
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    assert wait_until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    services.stopping.set()
    server.should_exit = True
    thread.join()


@pytest.fixture(params=["light", "dark"])
def page(request, chromium, url):
    """A phone's screen; whatever it complains about, or asks of others, fails the test."""
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme=request.param, base_url=url)
    opened, complaints = context.new_page(), []
    opened.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "request", lambda sent: None if sent.url.startswith((url, "data:", "blob:")) else complaints.append(sent.url)
    )
    yield opened
    context.close()
    assert complaints == []


@pytest.fixture
def signed_in(page, key):
    page.goto(f"/#key={key}")
    page.get_by_role("button", name="Sign out").wait_for()
    assert "key=" not in page.url
    return page


def test_sign_in_and_out(page, key, model):
    page.goto("/")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="What is this?")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()


def test_a_link_with_a_key_signs_in_though_the_page_is_open_already(page, key):
    page.goto("/")
    page.goto(f"/#key={key}")
    page.get_by_role("button", name="Sign out").wait_for()
    assert "key=" not in page.url


def test_picture_is_answered_in_place(services, model, signed_in):
    page = signed_in
    with Worker(services):
        page.set_input_files("#files", {"name": "fish.png", "mimeType": "image/png", "buffer": picture()})
        expect(page.locator("#decision")).to_have_text("tuna")
        assert page.locator(".kinds .share").all_inner_texts() == ["70.0 %", "20.0 %", "10.0 %"]
        assert page.locator(".kinds .fill").first.get_attribute("width") == "70.00"
        page.get_by_label("Minimum confidence").select_option("0.9")
        expect(page.locator("#decision")).to_have_text("Not sure enough")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_picture_of_something_else_is_none_of_these(services, model, signed_in):
    page = signed_in
    with Worker(services, known_score=0.001):
        page.set_input_files("#files", {"name": "car.png", "mimeType": "image/png", "buffer": picture()})
        expect(page.locator("#decision")).to_have_text("None of these")
        expect(page.locator("#strange")).to_be_visible()
        expect(page.locator("#unsure")).to_be_hidden()
        assert page.locator(".kinds .kind").all_inner_texts() == ["tuna", "squid", "eel"], "the nearest all the same"
        expect(page.locator("#result")).to_have_class("undecided")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_dropped_picture_is_answered(services, model, signed_in):
    with Worker(services):
        signed_in.evaluate(DROP, [list(picture())])
        expect(signed_in.locator("#decision")).to_have_text("tuna")


def test_of_several_dropped_pictures_it_is_told_which_one_is_answered(services, model, signed_in):
    with Worker(services):
        signed_in.evaluate(DROP, [list(picture()), 3])
        expect(signed_in.locator("#decision")).to_have_text("tuna")
        expect(signed_in.locator("#others")).to_contain_text("of these 3 files, this is the result for dropped 1.png")
        signed_in.evaluate(DROP, [list(picture())])
        expect(signed_in.locator("#others")).to_be_hidden()


def test_the_answer_comes_into_view(services, model, signed_in):
    with Worker(services):
        signed_in.set_input_files("#files", {"name": "fish.png", "mimeType": "image/png", "buffer": picture()})
        expect(signed_in.locator("#decision")).to_be_in_viewport()


def test_what_a_browser_cannot_show_leaves_no_broken_picture(services, model, signed_in):
    with Worker(services):
        signed_in.set_input_files("#files", {"name": "fish.tif", "mimeType": "image/tiff", "buffer": b"II*no"})
        expect(signed_in.locator("#picture")).to_be_hidden()


def test_a_page_without_models_is_no_wider_than_a_phone(signed_in):
    expect(signed_in.locator("pre").first).to_be_visible()
    assert signed_in.evaluate("document.documentElement.scrollWidth") <= 390


def test_bad_picture_is_told(services, model, signed_in):
    with Worker(services, errors={0}):
        signed_in.set_input_files("#files", {"name": "x.png", "mimeType": "image/png", "buffer": b"no"})
        expect(signed_in.get_by_role("alert")).to_contain_text("cut short")


def test_documentation_is_drawn(page):
    page.goto("/docs")
    page.locator("#operations-batches-create_batch").wait_for()


def test_page_works_without_javascript(chromium, url, key, services, model):
    context = chromium.new_context(java_script_enabled=False, base_url=url)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    with Worker(services):
        page.set_input_files("#files", {"name": "fish.png", "mimeType": "image/png", "buffer": picture()})
        page.get_by_role("button", name="Classify").click()
        expect(page.locator("#decision")).to_have_text("tuna")
    context.close()
