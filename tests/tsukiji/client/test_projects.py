from devtools.scripted_service import NOW, Answer, page
from tests.tsukiji.client.test_keys import KEY

PROJECT = {"object": "project", "id": "prj_1", "name": "lab", "default": False, "created_at": NOW}
PLACE = "/v1/projects/prj_1"


def test_a_project_and_its_first_key(client, service):
    service.answer("POST", "/v1/projects", PROJECT)
    service.answer("POST", "/v1/keys", KEY | {"key": "tsk_secret", "project": "prj_1"})
    lab = client.projects.create("lab", pictures_per_day=9)
    assert client.keys.create("camera", project=lab, pictures_per_day=3).project == lab.id
    asked = service.asked_for("POST", "/v1/keys")[0].json
    assert (asked["project"], asked["pictures_per_day"]) == ("prj_1", 3)


def test_projects_are_listed_changed_and_deleted(client, service):
    service.answer("GET", "/v1/projects", page(PROJECT))
    service.answer("GET", PLACE, PROJECT)
    service.answer("PATCH", PLACE, PROJECT | {"name": "lab 2"})
    service.answer("DELETE", PLACE, Answer(b"", 204))
    (lab,) = client.projects.list()
    assert client.projects.get(lab).name == "lab"
    assert client.projects.update(lab, name="lab 2", pictures_per_day=None).name == "lab 2"
    assert service.asked_for("PATCH", PLACE)[0].json == {"name": "lab 2", "pictures_per_day": None}
    client.projects.delete(lab, confirm="lab 2")
    assert service.asked_for("DELETE", PLACE)[0].query == {"confirm": ["lab 2"]}
