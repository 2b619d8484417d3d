"""Label with the model, in a browser: groups are named, piles accepted, and sorted again by themselves."""

import re
import threading
import time

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from db.models import Job
from tests.api.test_suggestions import work
from tsukiji.jobs import JobStatus


@pytest.fixture
def sorting(services, worker):
    """A worker that does each round as it is asked for."""
    stop = threading.Event()

    def run():
        while not stop.is_set():
            with services.database.reading() as session:
                waiting = session.scalar(select(Job.id).where(Job.status == JobStatus.QUEUED))
            if waiting:
                work(services, worker, waiting)
            time.sleep(0.02)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_from_groups_to_labels(signed_in, client, pets, sorting):
    dataset = client.get("/v1/datasets/pets").json()["id"]
    page = signed_in(f"/datasets/{dataset}/label")
    group = page.locator("[data-kind=cluster]").first
    expect(group).to_be_visible()  # the first round began by itself
    kind = group.locator("image-grid .tile").first.get_attribute("title")[:3]
    groups = page.locator("[data-kind=cluster]").count()
    page.keyboard.press("n")
    page.keyboard.type(kind)
    page.keyboard.press("Enter")
    expect(page.locator("[data-kind=cluster]")).to_have_count(groups - 1)
    other = "dog" if kind == "cat" else "cat"
    field = page.locator("[data-kind=cluster]", has=page.locator(f".tile[title^={other}]")).first.get_by_role(
        "combobox"
    )
    field.fill(other)
    field.press("Enter")
    pile = page.locator("[data-kind=label]").first
    expect(pile.get_by_role("button", name=re.compile("Accept"))).to_be_visible()
    expect(page.locator("#progress")).to_contain_text("100.0%")
    first = pile.locator(".tile").first
    first.click()
    count = int(pile.get_attribute("data-count"))
    label = pile.get_attribute("data-label")
    expect(pile.locator("[data-accept]")).to_contain_text(f"Accept {count - 1}")
    before = {each["label"]: each["images"] for each in client.get("/v1/datasets/pets").json()["classes"]}
    page.keyboard.press(pile.locator("[data-accept] kbd").inner_text())
    expect(page.locator("#notices")).to_contain_text(f"{count - 1} pictures labelled {label}")
    after = {each["label"]: each["images"] for each in client.get("/v1/datasets/pets").json()["classes"]}
    assert after[label] == before[label] + count - 1
    page.keyboard.press("u")
    expect(page.locator("#notices")).to_contain_text("Undone.")
    assert {each["label"]: each["images"] for each in client.get("/v1/datasets/pets").json()["classes"]} == before
