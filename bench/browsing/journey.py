"""The journey of a newcomer: from a folder without labels to a table of results, with all acts counted."""

import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Locator, expect

from bench.browsing.person import Person
from devtools.servers import wait_until
from tsukiji import Client

RIGHT: Final = 0.99
PLANTED: Final = 5
STRANGER: Final = 20
"""A stranger in a group costs a click: it weighs as much as this many pictures, which give a good start."""
MOST_ACTS: Final = 400
SECONDS: Final = 300


def journey(person: Person, client: Client, folder: Path, truth: dict[str, str]) -> dict[str, Any]:
    page = person.page
    page.goto("/")
    person.look("empty")
    person.drop(folder)
    expect(page.get_by_role("heading", name="pets", exact=True)).to_be_visible()
    wait_for_images(client, len(truth))
    person.look("data")
    before = person.acts
    person.press("l")
    accuracy = label(person, client, truth)
    labelling = person.acts - before
    train(person, "train")
    person.press("Enter")
    expect(page.get_by_role("table").first).to_be_visible()
    person.look("matrix")
    found = mend(person, client, truth)
    train(person, "retrain")
    classify(person, folder)
    return {
        "acts_journey": person.acts,
        "acts_label_400": labelling,
        "label_accuracy": accuracy,
        "planted_found": found,
    }


def wait_for_images(client: Client, count: int) -> None:
    if not wait_until(lambda: client.datasets.get("pets").images == count, SECONDS):
        raise RuntimeError("the pictures did not all arrive")


def label(person: Person, client: Client, truth: dict[str, str]) -> float:
    """Label with the model until 99% are right; returns the share that is."""
    page = person.page
    page.locator("[data-pile]").first.wait_for()
    person.look("groups")
    names = sorted(set(truth.values()))
    for name in names:
        name_group(person, name, truth)
    page.locator("label-piles:not([busy])").wait_for()
    person.look("piles")
    while (accuracy := right(client, truth)) < RIGHT and person.acts < MOST_ACTS:
        if not accept_piles(person, truth):
            label_doubtful(person, truth)
        page.locator("label-piles:not([busy])").wait_for()
    person.look("labelled")
    return accuracy


def shown(pile: Locator) -> list[str]:
    """Return the names of the pictures that a pile's grid holds, once it has read them."""
    pile.locator("image-grid .tile[title]").first.wait_for()
    found: list[str] = pile.locator("image-grid").evaluate("(grid) => grid.entries.map((entry) => entry.name)")
    return found


def name_group(person: Person, name: str, truth: dict[str, str]) -> None:
    """Name a group of this kind; the purest large one, by its own field. That of the first has the focus."""
    groups = person.page.locator("[data-kind=cluster]")
    known = [
        (index, Counter(truth[each] == name for each in shown(groups.nth(index)))) for index in range(groups.count())
    ]
    index, _ = max(known, key=lambda each: each[1][True] - STRANGER * each[1][False])
    group = groups.nth(index)
    left = groups.count()
    take_out(person, group, name, truth)
    if index:
        person.click(group.get_by_role("combobox"))
    elif not group.get_by_role("combobox").evaluate("(field) => field === document.activeElement"):
        person.press("n")
    person.write(name)
    person.press("Enter")
    expect(groups).not_to_have_count(left)


def take_out(person: Person, pile: Locator, name: str, truth: dict[str, str]) -> None:
    for each in shown(pile):
        if truth[each] != name:
            person.click(bring(pile, each))


def bring(pile: Locator, name: str) -> Locator:
    """Scroll a picture of a pile's grid into view."""
    pile.locator("image-grid").evaluate(
        "(grid, name) => grid.reveal(grid.entries.find((entry) => entry.name === name).image_id)", name
    )
    return pile.locator(f'.tile[title="{name}"]')


def accept_piles(person: Person, truth: dict[str, str]) -> bool:
    """Look through the piles of labels, take strangers out, and accept all; returns whether there were any."""
    piles = person.page.locator("[data-kind=label]").all()
    for pile in piles:
        take_out(person, pile, pile.get_attribute("data-label") or "", truth)
    if not piles:
        return False
    person.press("a")
    person.page.locator("label-piles[busy]").wait_for()
    return True


def label_doubtful(person: Person, truth: dict[str, str]) -> None:
    """Of the first doubtful pictures select those whose suggestion is wrong, label them by key, and take the others."""
    page = person.page
    grid = page.locator("[data-kind=doubtful] image-grid")
    grid.locator(".tile[title]").first.wait_for()
    hand = int(page.locator("[data-suggested]").get_attribute("data-suggested") or 0)
    some: list[list[str]] = grid.evaluate(
        "(grid, most) => grid.entries.slice(0, most).map((entry) => [entry.name, entry.label])", hand
    )
    pile = page.locator("[data-kind=doubtful]")
    for name in sorted(set(truth.values())):
        wrong = [each for each, suggested in some if truth[each] == name != suggested]
        for index, each in enumerate(wrong):
            person.click(bring(pile, each), modifiers=["ControlOrMeta"] if index else [])
        if wrong:
            button = page.locator("selection-bar").get_by_role("button", name=name)
            person.press(button.locator("kbd").inner_text())
            expect(page.locator("selection-bar .toolbar")).to_be_hidden()
    person.press("y")
    page.locator("label-piles[busy]").wait_for()


def right(client: Client, truth: dict[str, str]) -> float:
    found = client.datasets.get("pets").pictures()
    return sum(truth[image.name] == image.label for image in found) / len(truth)


def train(person: Person, name: str) -> None:
    page = person.page
    person.press("t")
    expect(page.get_by_role("link", name="Look at the model")).to_be_visible()
    person.look(name)


def mend(person: Person, client: Client, truth: dict[str, str]) -> int:
    """Plant wrong labels, as a tired colleague would, and have curation find them; returns how many it found."""
    page, dataset = person.page, client.datasets.get("pets")
    names = sorted(set(truth.values()))
    images = [image for image in dataset.pictures() if image.label == truth[image.name]]
    planted = images[:: len(images) // PLANTED][:PLANTED]
    for image in planted:
        dataset.relabel(names[names.index(truth[image.name]) - 1], images=[image.id])
    person.click(page.get_by_role("navigation", name="Work").get_by_role("link", name="Curate"))
    person.press("c")
    shown_now = page.locator(".look img").first
    shown_now.wait_for()
    person.look("suspected")
    wrong = {image.name for image in planted}
    while wrong and page.get_by_role("heading", name="Suspected labels").count() and shown_now.count():
        name = shown_now.get_attribute("alt") or ""
        person.press("Enter" if name in wrong else "k")
        wrong.discard(name)
        page.wait_for_function("(alt) => document.querySelector('.look img')?.alt !== alt", arg=name)
    person.look("mended")
    return PLANTED - len(wrong)


def classify(person: Person, folder: Path) -> None:
    page = person.page
    person.click(page.get_by_role("navigation", name="Work").get_by_role("link", name="Batches"))
    expect(page.get_by_text("Drop them anywhere")).to_be_visible()
    person.drop(folder)
    expect(page).to_have_url(re.compile("/batches/bat_"))
    download = page.locator(".primary", has_text="Download CSV")  # the main act once it has ended
    expect(download).to_be_visible()
    person.look("batch")
    with page.expect_download():
        person.press("d")
