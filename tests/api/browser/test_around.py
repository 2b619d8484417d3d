"""What is on every screen: the rail and its menus, jobs that are followed, keys that are copied."""

import pytest
from playwright.sync_api import expect

from db.jobs import jobs
from tests.api.conftest import as_files, picture, run_job


def test_jobs_appear_and_end_by_themselves(signed_in, client, services, dataset):
    page = signed_in("/jobs")
    expect(page.get_by_text("Nothing was started yet")).to_be_visible()
    training = client.post("/v1/trainings", json={"dataset": dataset}).json()["id"]
    row = page.locator(f"[data-job={training}]")
    expect(row).to_contain_text("waiting")
    with services.database.transaction() as session:
        jobs.request_cancel(session, training)
    expect(row).to_contain_text("cancelled")


@pytest.mark.parametrize(("width", "height"), [(360, 640), (1280, 700), (2560, 1300)])
def test_the_menu_lies_within_the_window(signed_in, dataset, width, height):
    page = signed_in(width=width, height=height)
    page.locator(".rail .end summary").click()
    for name in ("API keys", "API reference", "Sign out"):
        expect(page.get_by_text(name, exact=True)).to_be_in_viewport(ratio=1)
    box = page.locator(".rail .end summary").bounding_box()
    assert box["height"] >= 24
    if width == 360:
        page.get_by_role("link", name="Search", exact=True).click()
        expect(page.get_by_role("heading", name="Search")).to_be_visible()


def test_an_empty_data_set_fills_while_its_import_runs(signed_in, client, services):
    page = signed_in()
    page.get_by_role("button", name="Load the sample").click()
    expect(page.get_by_text("An import waits for a worker")).to_be_visible()
    (job,) = client.get("/v1/imports").json()["data"]
    client.post(f"/v1/datasets/{job['request']['dataset']}/images", files=as_files([picture()]))
    run_job(services, job["id"], {})
    expect(page.locator("[data-image]")).to_have_count(1)
    expect(page.get_by_text("An import waits for a worker")).to_have_count(0)


def test_a_new_key_is_copied(signed_in):
    page = signed_in("/keys")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#name").fill("camera-7")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#secret").text_content()
