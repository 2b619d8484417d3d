"""Label with the model, in a browser: groups are named, piles accepted, and sorted again by themselves."""

import re
import threading
import time

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from db.models import Job
from tests.api.suggesting import act, label, work
from tsukiji.jobs import JobStatus


@pytest.fixture
def sorting(services, suggestion_worker):
    """A worker that does each round as it is asked for."""
    stop = threading.Event()

    def run():
        while not stop.is_set():
            with services.database.reading() as session:
                waiting = session.scalar(select(Job.id).where(Job.status == JobStatus.QUEUED))
            if waiting:
                work(services, suggestion_worker, waiting)
            time.sleep(0.02)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.fixture
def sorted_pets(client, pets, suggest):
    """Two labels of some pictures each, and the others in piles."""
    label(client, pets)
    suggest()


def sort_again(page):
    """Have the piles drawn again, as after any act, and wait for that."""
    page.locator("#progress").evaluate("(element) => element.setAttribute('data-former', '')")
    page.keyboard.press("r")
    expect(page.locator("#progress:not([data-former])")).to_be_visible()


def leave_out(pile, name):
    """Click a picture: once it gets the other of two labels, and then none."""
    option = pile.get_by_role("option", name=name)
    option.click()
    option.click()


def test_what_was_taken_out_of_a_pile_stays_out_when_the_piles_are_drawn_again(
    signed_in, client, pets, sorted_pets, sorting
):
    page = signed_in("/datasets/pets/label")
    pile = page.locator("[data-label=dog]")
    pile.get_by_role("option").first.wait_for()
    names = pile.locator(".tile").evaluate_all("(tiles) => tiles.map((tile) => tile.title)")
    for name in names[:2]:
        leave_out(pile, name)
    act(client, "relabel", label="dog", images=[pets[names[1]]])  # in another tab
    sort_again(page)
    expect(pile.get_by_role("option")).to_have_count(len(names) - 1)
    expect(pile.get_by_role("option", name=names[0], selected=True)).to_be_visible()
    expect(pile.locator("[data-accept]")).to_contain_text(f"Accept {len(names) - 2}")
    page.keyboard.press(pile.locator("[data-accept] kbd").inner_text())
    expect(page.locator("#notices")).to_contain_text(f"{len(names) - 2} pictures labelled")
    assert client.get(f"/v1/images/{pets[names[0]]}").json()["label"] is None


@pytest.mark.parametrize("pressed", ["a", "Enter"])  # the focus is on the picture that was clicked last
def test_one_key_accepts_all_piles_but_what_was_taken_out(signed_in, client, sorted_pets, sorting, pressed):
    page = signed_in("/datasets/pets/label")
    piles = page.locator("[data-kind=label]")
    expect(piles).to_have_count(2)
    name, other = (piles.first.get_by_role("option").nth(at).get_attribute("title") for at in (0, 1))
    leave_out(piles.first, name)
    piles.first.get_by_role("option", name=other).click()
    expect(piles.first.get_by_role("option", name=other)).to_contain_text("dog" if other[:3] == "cat" else "cat")
    left = sum(int(pile.get_attribute("data-counts")) for pile in page.locator("[data-counts]").all()) - 1
    expect(page.locator(".head .primary")).to_contain_text(re.compile(f"Accept (both piles:|all) {left}"))
    page.keyboard.press(pressed)
    expect(page.locator("#notices")).to_contain_text(f"{left} pictures labelled cat, dog.")
    labelled = {
        image["name"]: image["label"] for image in client.get("/v1/datasets/pets/images?limit=100").json()["data"]
    }
    assert sum(label is not None for label in labelled.values()) == 8 + left
    assert labelled[name] is None
    assert labelled[other] not in {None, other[:3]}, "a click gave it the other label"
    assert all(label in {None, name[:3]} for name, label in labelled.items() if name != other)
    page.keyboard.press("u")
    expect(page.locator("#notices")).to_contain_text("Undone.")
    classes = client.get("/v1/datasets/pets").json()["classes"]
    assert {each["label"]: each["images"] for each in classes} == {None: 16, "cat": 4, "dog": 4}


def test_a_press_that_began_before_the_piles_are_drawn_again_is_a_click(signed_in, sorted_pets, sorting):
    page = signed_in("/datasets/pets/label")
    pile = page.locator("[data-kind=label]").first
    pile.get_by_role("option").first.hover()
    page.mouse.down()
    with page.expect_response("**/datasets/*/label"):
        page.keyboard.press("r")
    page.mouse.up()
    expect(pile.get_by_role("option", selected=True)).to_have_count(1)
    expect(page.locator("label-piles:not([busy])")).to_be_visible()
    expect(pile.get_by_role("option", selected=True)).to_have_count(1)


def test_a_name_that_is_being_typed_stays_when_the_piles_are_drawn_again(signed_in, pets, sorting):
    page = signed_in("/datasets/pets/label")
    expect(page.locator("[data-kind=cluster]").first.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("ca")
    page.locator("#progress").evaluate("(element) => element.setAttribute('data-former', '')")
    page.evaluate("document.querySelector('[data-sort]').form.requestSubmit()")
    expect(page.locator("#progress:not([data-former])")).to_be_visible()
    page.keyboard.type("t")
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("labelled cat")


def test_from_groups_to_labels(signed_in, client, pets, sorting):
    dataset = client.get("/v1/datasets/pets").json()["id"]
    page = signed_in(f"/datasets/{dataset}/label")
    group = page.locator("[data-kind=cluster]").first
    expect(group).to_be_visible()  # the first round began by itself
    kind = group.locator("image-grid .tile").first.get_attribute("title")[:3]
    groups = page.locator("[data-kind=cluster]").count()
    expect(group.get_by_role("combobox")).to_be_focused()
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
    leave_out(pile, pile.locator(".tile").first.get_attribute("title"))
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
