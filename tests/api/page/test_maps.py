"""The map of a data set, without script."""

import re

from api.page.maps import coloured
from tests.api.similar import add
from tsukiji.types.similar import MapPoint


def test_pictures_are_points_with_the_colours_of_their_labels(browser, client, reds):
    for label, wanted in (("dark", (0, 20, 40)), ("red", (200, 220))):
        body = {"act": "relabel", "label": label, "images": [reds[red]["id"] for red in wanted]}
        client.post("/v1/datasets/reds/revisions", json=body)
    page = browser.get("/datasets/reds/map").text
    groups = dict(re.findall(r'<g class="c(\d)">(.*?)</g>', page, re.DOTALL))
    names = {number: set(re.findall(r"<title>(\d+)\.png", group)) for number, group in groups.items()}
    assert (names["1"], names["2"], len(names["0"])) == ({"0", "20", "40"}, {"200", "220"}, 7)
    assert "12 of 12 pictures" in page
    assert f'data-image="{reds[0]["id"]}"' in page
    assert "/map" in browser.get("/datasets/reds").text, "there is a way to it"
    assert re.findall(r'<g class="c(\d)">', browser.get("/datasets/reds/map?by=finding").text) == ["0"]


def test_without_features_it_says_what_to_do(browser, client, services, similarity_worker):
    add(client, "reds", 1, 2)
    page = browser.get("/datasets/reds/map")
    assert (page.status_code, "datasets check" in page.text) == (409, True)
    assert browser.get("/datasets/none/map").status_code == 404


def test_only_the_most_frequent_have_colours():
    points = [
        MapPoint(image_id=f"{number}", name="", x=0, y=0, labels=[f"label {number % 10}"] if number else None)
        for number in range(95)
    ]
    found = coloured(points, "label")
    assert [colour.number for colour in found] == list(range(9))
    assert (found[0].text, sum(len(colour.points) for colour in found)) == ("others", 95)
