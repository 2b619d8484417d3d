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
    person.press("l", "label with the model")
    accuracy = label(person, client, truth)
    labelling = person.acts - before
    train(person, "train")
    person.press("Enter", "look at the model")
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
        "acts": person.done,
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
        accept(person, truth)
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
        person.click(group.get_by_role("combobox"), f"the name of group {index + 1}")
    elif not group.get_by_role("combobox").evaluate("(field) => field === document.activeElement"):
        person.press("n", "name the first group")
    person.write(name)
    person.press("Enter", "give the group its label")
    expect(groups).not_to_have_count(left)


def take_out(person: Person, pile: Locator, name: str, truth: dict[str, str]) -> None:
    for each in shown(pile):
        if truth[each] != name:
            person.click(bring(pile, each), f"a stranger among {name}")


def bring(pile: Locator, name: str) -> Locator:
    """Scroll a picture of a pile's grid into view."""
    pile.locator("image-grid").evaluate(
        "(grid, name) => grid.reveal(grid.entries.find((entry) => entry.name === name).image_id)", name
    )
    return pile.locator(f'.tile[title="{name}"]')


def accept(person: Person, truth: dict[str, str]) -> None:
    """Look through the pictures that the bold button takes, click those whose suggestion is wrong, and press its key.

    There are two labels here: a click gives the other one.
    """
    for pile in person.page.locator("[data-counts]").all():
        shown(pile)
        some: list[list[str]] = pile.locator("image-grid").evaluate(
            "(grid, most) => grid.entries.slice(0, most).map((entry) => [entry.name, entry.label])",
            int(pile.get_attribute("data-counts") or 0),
        )
        for each, suggested in some:
            if truth[each] != suggested:
                person.click(bring(pile, each), f"what is no {suggested}")
    person.press("a", "accept")
    person.page.locator("label-piles[busy]").wait_for()


def right(client: Client, truth: dict[str, str]) -> float:
    found = client.datasets.get("pets").pictures()
    return sum(truth[image.name] == image.label for image in found) / len(truth)


def train(person: Person, name: str) -> None:
    page = person.page
    person.press("t", "train")
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
    person.press("c", "check the labels")
    suspects = page.locator(".suspect")
    suspects.first.wait_for()
    person.look("suspected")
    names_shown = suspects.locator("img").evaluate_all("(images) => images.map((image) => image.alt)")
    now = {image.name: image.label for image in dataset.pictures()}
    for name in names_shown:
        if now[name] == truth[name]:
            person.click(suspects.locator(f'label:has(img[alt="{name}"])'), "a label that is right")
    person.press("Enter", "change the others as suggested")
    expect(page.get_by_role("heading", name="Nothing waits here")).to_be_visible()
    person.look("mended")
    return sum(image.name in names_shown for image in planted)


def classify(person: Person, folder: Path) -> None:
    page = person.page
    expect(page.get_by_text("anywhere on this window")).to_be_visible()
    person.drop(folder)
    expect(page).to_have_url(re.compile("/batches/bat_"))
    download = page.locator(".primary", has_text="Download CSV")  # the main act once it has ended
    expect(download).to_be_visible()
    person.look("batch")
    with page.expect_download():
        person.press("d", "download CSV")
