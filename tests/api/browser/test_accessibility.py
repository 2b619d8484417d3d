"""No serious finding by axe on any screen, light and dark, on a phone and a desk (WCAG 2.2 AA)."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from db import people
from db.people import Identity
from tests.api.conftest import configure_openid

SCREENS = [
    "/",
    "/style",
    "/datasets/sushi",
    "/datasets/sushi?view=labels",
    "/datasets/sushi/label",
    "/datasets/sushi/curate",
    "/datasets/sushi/train",
    "/models/production",
    "/models/production?true=eel&predicted=squid",
    "/models/production/compare",
    "/use",
    "/batches",
    "/batches/{batch}",
    "/trainings/{training}",
    "/jobs",
    "/jobs/{training}",
    "/keys",
    "/people",
    "/people?remove={person}",
    "/webhooks",
    "/webhooks/{webhook}",
    "/search?q=sushi",
    "/sign-in/link?token=old",
    "/help/reference/models",
    "/help/search?q=batch",
]
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],  # else all that passes is told too, each with its places
}


def serious(page):
    """What axe finds serious or critical, each with the first place."""
    found = Axe().run(page, options=RULES).response["violations"]
    return {each["id"]: each["nodes"][0]["html"] for each in found if each["impact"] in {"serious", "critical"}}


@pytest.fixture
def ids(client, services, dataset, model):
    """Jobs that wait and a webhook, by what SCREENS calls them."""
    batch = client.post("/v1/batches", json={"model": model, "input": {"dataset": dataset}}).json()["id"]
    webhook = client.post("/v1/webhooks", json={"url": "https://hooks.example/tsukiji"}).json()["id"]
    client.post(f"/v1/webhooks/{webhook}/test")
    training = client.post("/v1/trainings", json={"dataset": dataset}).json()["id"]
    configure_openid(services, issuer="https://id.example")
    client.post("/v1/invitations", json={"email": "bob@example.com"})
    anna = Identity("https://id.example", "1", "anna@example.com", name="Anna", role="editor")
    with services.database.transaction() as session:
        person = people.admit(session, anna).person_id
    return {"batch": batch, "training": training, "webhook": webhook, "person": person}


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_axe_finds_nothing_serious(signed_in, ids, width, scheme):
    page = signed_in(width=width, scheme=scheme)
    found = {}
    for path in SCREENS:
        page.goto(path.format(**ids))
        found[path] = serious(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert {path: each for path, each in found.items() if each} == {}
