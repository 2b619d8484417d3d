import json

from devtools.scripted_service import Answer, page
from tests.tsukiji.client.test_projects import PLACE, PROJECT


def test_projects_are_listed_created_changed_and_deleted(service, run):
    service.answer("GET", "/v1/projects", page(PROJECT))
    service.answer("POST", "/v1/projects", PROJECT)
    service.answer("PATCH", PLACE, PROJECT)
    service.answer("DELETE", PLACE, Answer(b"", 204))
    assert run("projects", "ls").stdout.splitlines()[1].split("\t")[:2] == ["lab", "prj_1"]
    assert (
        json.loads(
            run("projects", "create", "lab", "--pictures-per-day", "9", "--max-stored-gb", "1.5", "--json").stdout
        )["id"]
        == "prj_1"
    )
    run("projects", "update", "prj_1", "--name", "lab 2", "--requests-per-minute", "0")
    run("projects", "rm", "prj_1", "--confirm", "lab")
    created, changed = (service.asked_for(*where)[0].json for where in (("POST", "/v1/projects"), ("PATCH", PLACE)))
    assert created == {
        "name": "lab",
        "requests_per_minute": None,
        "pictures_per_day": 9,
        "max_stored_bytes": 1_500_000_000,
    }
    assert changed == {"name": "lab 2", "requests_per_minute": None}, "0 removes a quota; what is not given stays"
    assert service.asked_for("DELETE", PLACE)[0].query == {"confirm": ["lab"]}
