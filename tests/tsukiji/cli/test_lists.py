import json
import re

import pytest

from devtools.scripted_service import Answer, dataset, job, model, page
from tests.tsukiji.cli.terminal import on_a_terminal
from tests.tsukiji.client.test_analyses import ANALYSIS, FOUND
from tests.tsukiji.client.test_curation import revision

FINDING = FOUND | {"width": 400, "height": 300, "bytes": 9000}
LISTS = {
    "datasets ls": ("/v1/datasets", dataset()),
    "jobs ls": ("/v1/jobs", job("succeeded")),
    "models ls": ("/v1/models", model()),
    "datasets log pets": ("/v1/datasets/dst_1/revisions", revision()),
    "datasets check pets --last --kind blurry": ("/v1/datasets/dst_1/findings", FINDING),
}
CUT = "The first {} are shown; --limit N shows N, and a pipe or a file gets all."


@pytest.fixture(params=LISTS)
def listed(request, service):
    """A list of 60, which come in two pages."""
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("GET", "/v1/datasets/dst_1/analysis", ANALYSIS)
    place, record = LISTS[request.param]

    def pages(asked):
        rest = "cursor" in asked.query
        return {"data": [record] * (20 if rest else 40), "has_more": not rest, "next_cursor": None if rest else "more"}

    service.answer("GET", place, pages)
    return request.param.split()


def test_a_list_is_whole_in_a_pipe_and_as_json(listed, run):
    piped, as_json = run(*listed), run(*listed, "--json")
    assert len(piped.stdout.splitlines()) == 1 + 60
    assert len([json.loads(line) for line in as_json.stdout.splitlines()]) == 60
    assert "more than" not in piped.stderr + as_json.stderr


def test_a_list_that_is_cut_on_a_terminal_says_so_and_how_to_see_the_rest(listed):
    shown = on_a_terminal(*listed)
    assert CUT.format(50) in shown
    assert len(re.findall(r"_1\b", shown)) >= 50


def test_a_list_that_is_long_enough_says_nothing(listed, run):
    whole = on_a_terminal(*listed, "--limit", "60")
    assert "are shown" not in whole
    assert len(re.findall(r"_1\b", whole)) >= 60
    assert CUT.format(59) in on_a_terminal(*listed, "--limit", "59")
    assert len(run(*listed, "--limit", "3").stdout.splitlines()) == 1 + 3


def test_groups_of_pictures_that_look_the_same_say_when_they_are_cut(service, run):
    service.answer("GET", "/v1/datasets/pets", dataset())
    service.answer("GET", "/v1/datasets/dst_1/analysis", ANALYSIS | {"groups": 60})
    groups = [
        FINDING | {"kind": "near_duplicates", "group": f"img_{number}", "suggestion": {"keep": "img_1"}}
        for number in range(60)
    ]
    service.answer("GET", "/v1/datasets/dst_1/findings", page(*groups))
    assert "The first 50 are shown; --limit N shows N" in on_a_terminal("datasets", "dedupe", "pets", "--last")
    piped = run("datasets", "dedupe", "pets", "--last")
    assert len(piped.stdout.splitlines()) == 1 + 60
    assert "are shown" not in piped.stderr


def test_a_difference_is_whole_as_json_and_in_a_pipe(service, run):
    change = {"image_id": "img_1", "name": "a.jpg", "sha256": "0", "changes": ["added"]}
    counts = dict.fromkeys(("removed", "relabelled", "resplit", "recropped", "unchanged"), 0)
    found = {"a": "snp_1", "b": "snp_2", "equal": False, "added": 60, **counts}

    def pages(asked):
        rest = "cursor" in asked.query
        ending = {"has_more": not rest, "next_cursor": None if rest else "more"}
        return Answer({**found, "data": [change] * (20 if rest else 40), **ending})

    service.answer("GET", "/v1/snapshots/compare", pages)
    told = json.loads(run("datasets", "diff", "snp_1", "snp_2", "--json").stdout)
    assert (len(told["data"]), told["has_more"]) == (60, False)
    assert run("datasets", "diff", "snp_1", "snp_2").stdout.count("a.jpg") == 60
