"""Projects: every route with every scope and a key of another project; and that nothing of one is told to another."""

import asyncio
import shutil
from itertools import product

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.testclient import TestClient

from api.http.activity import follow_all
from api.services import Services
from db.jobs import leases
from db.jobs.activity import Choice
from db.models import ApiKey, AuditEntry, Base, Job, Project
from db.session import Database
from tests.api.conftest import Current, RecordedWakeups, as_files, picture, run_job, settings_in
from tests.api.test_scopes import Half, fill, make_key
from tsukiji.jobs import JobKind
from tsukiji.kernel.storage.memory import MemoryStore
from tsukiji.scopes import SCOPES, may

NAME = "pets"
"""Of the data set in either project."""
OWN_ALIAS = "ours-only"
DEFAULT = "prj_default"
SHARED = {"/v1/info", "/v1/limits"}
UNREAD = {415, 422}
"""The body is looked at before what it is about."""
WHOLE = {("post", "/v1/projects"), ("patch", "/v1/projects/{project}"), ("delete", "/v1/projects/{project}")}
ALL = Choice(frozenset(JobKind))


class Mine(Half):
    """What a project has."""

    def __init__(self, client, services, project):
        super().__init__(client, services.inside(project), NAME)
        self.project = project
        self.webhook = client.post("/v1/webhooks", json={"url": "https://hooks.example/"}).json()["id"]
        self.delivery = client.post(f"/v1/webhooks/{self.webhook}/test").json()["id"]
        self.key = client.post("/v1/keys", json={"name": "camera", "scopes": ["predict"]}).json()["id"]

    @property
    def secrets(self):
        return super().secrets - {NAME, self.alias, DEFAULT}


def read_all(client, mine, operations):
    """Return what each address says to this client: by ids, and by queries that look for all there is."""
    client.headers["Accept"] = "application/json"
    said = {}
    for path, method, _ in operations:
        if method != "get" or path in SHARED:
            continue
        query = {"q": NAME, "a": mine.snapshot if "snapshots" in path else mine.evaluation, "pile": "doubtful"}
        params = query | {"b": query["a"]} if path.endswith(("/search", "/compare", "/{pile}")) else {}
        answer = client.get(fill(path, **mine.ids), params=params, headers={"X-Request-Id": "same"})
        said[path] = answer.status_code, answer.content
    return said


class Built:
    """Two projects, built once: first the default one alone, then the other."""

    def __init__(self, app, operations, folder):
        settings = settings_in(folder)
        made = Current.services = Services(settings, Database(settings), MemoryStore(), RecordedWakeups())
        self.store = made.store
        _, admin = make_key(made, "admin")
        self.reader, reading = make_key(made, "predict", "label", "train")
        with TestClient(app, base_url="http://127.0.0.1:8000") as client:
            client.headers.update(admin)
            self.ours = Mine(client, made, DEFAULT)
            client.put(f"/v1/aliases/{OWN_ALIAS}", json={"model": self.ours.model})
            client.headers.update(reading)
            self.before = read_all(client, self.ours, operations)
            client.headers.update(admin)
            self.project = client.post("/v1/projects", json={"name": "other"}).json()["id"]
            secret = client.post("/v1/keys", json={"name": "theirs", "project": self.project}).json()["key"]
            client.headers["Authorization"] = f"Bearer {secret}"
            self.theirs = Mine(client, made, self.project)
            client.headers.update(reading)
            self.after = read_all(client, self.ours, operations)
        made.database.close()
        self.database = (folder / "tsukiji.db").read_bytes()


@pytest.fixture(scope="module")
def built(app, migrated_sqlite, operations, tmp_path_factory):
    folder = tmp_path_factory.mktemp("projects")
    shutil.copy(migrated_sqlite, folder / "tsukiji.db")
    return Built(app, operations, folder)


@pytest.fixture
def settings(tmp_path, built):
    (tmp_path / "tsukiji.db").write_bytes(built.database)
    return settings_in(tmp_path)


@pytest.fixture
def services(services, built):
    services.store = built.store
    return services


@pytest.fixture
def foreign(start, services, built):
    """Open a client with a key of the other project."""

    def foreign(*scopes):
        client = start()
        client.headers.update(make_key(services, *scopes or ("admin",), project_id=built.project)[1])
        return client

    return foreign


def everything(services):
    """Return all rows of the default project, but for its keys and audit log."""
    tables = [mapper.class_ for mapper in Base.registry.mappers if hasattr(mapper.class_, "project_id")]
    with services.database.reading() as session:
        rows = {table: session.query(table).filter_by(project_id=DEFAULT) for table in tables}
        return {
            table: sorted(repr({name: value for name, value in vars(row).items() if name[0] != "_"}) for row in found)
            for table, found in rows.items()
            if table not in {ApiKey, AuditEntry}
        }


def test_every_route_with_every_scope_leads_a_key_of_another_project_to_nothing(
    app, stranger, services, built, operations
):
    """By the ids of what there is in the default project."""
    ours = built.ours
    by_scope = {scope: make_key(services, scope, project_id=built.project)[1] for scope in SCOPES}
    before = everything(services)

    async def ask_all():
        async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1:8000") as client:
            for (path, method, wanted), (scope, headers) in product(operations, by_scope.items()):
                address = fill(path, **ours.ids | {"name": OWN_ALIAS})
                options = {"params": {"pile": "doubtful", "q": NAME, "confirm": "default"}, "headers": headers}
                answer = await client.request(method, address, **options, **({} if method == "get" else {"json": {}}))
                where = (method, path, scope, answer.text)
                assert not [one for one in ours.secrets if one in answer.text and one not in address], where
                if not may([scope], *wanted):
                    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), where
                elif (method, path) in WHOLE:
                    assert (answer.status_code, answer.json()["code"]) == (403, "default_project_needed"), where
                elif "{" in path:
                    assert answer.status_code in {404} | (UNREAD if method != "get" else set()), where

    asyncio.run(ask_all())
    assert everything(services) == before, "and nothing of it was changed"


def test_answers_are_the_same_whatever_there_is_in_another_project(built):
    """Lists, counts, searches, single things and events: nothing depends on it, and the filter loses nothing."""
    assert sum(status == 200 for status, _ in built.before.values()) > 35
    differing = [path for path, answer in built.before.items() if built.after[path] != answer]
    assert differing == []


def test_each_project_finds_its_own_by_names_that_both_have(client, foreign, built):
    theirs = foreign()
    for word, kind, ours_id, theirs_id in (
        (NAME, "datasets", built.ours.dataset, built.theirs.dataset),
        (built.ours.alias, "models", built.ours.model, built.theirs.model),
        (built.ours.alias, "aliases", built.ours.model, built.theirs.model),
    ):
        found = [asked.get(f"/v1/{kind}/{word}").json() for asked in (client, theirs)]
        assert [one.get("model_id", one.get("id")) for one in found] == [ours_id, theirs_id]
    answer = theirs.post("/v1/trainings", json={"dataset": NAME, "recipe": {"pretrained": False}})
    assert answer.json()["request"]["dataset"] == built.theirs.dataset


def test_bodies_and_queries_name_nothing_of_another_project(foreign, built):
    ours, theirs, asked = built.ours, built.theirs, foreign()
    for address, body in (
        ("/v1/trainings", {"dataset": ours.dataset}),
        ("/v1/evaluations", {"model": theirs.model, "dataset": ours.dataset}),
        ("/v1/evaluations", {"model": ours.model, "dataset": theirs.dataset}),
        ("/v1/batches", {"model": theirs.model, "input": {"dataset": ours.dataset}}),
        ("/v1/batches", {"model": ours.model, "input": {"dataset": theirs.dataset}}),
        ("/v1/batches", {"model": theirs.model, "input": {"upload": ours.upload}}),
        (f"/v1/datasets/{theirs.dataset}/imports", {"upload": ours.upload}),
        (f"/v1/jobs/{theirs.batch}/feedback", {"dataset": ours.dataset, "corrections": [{"seq": 0, "label": "eel"}]}),
        ("/v1/keys", {"name": "x", "scopes": ["read"], "datasets": [ours.dataset]}),
        ("/v1/keys", {"name": "x", "project": "default"}),
        ("/v1/keys", {"name": "x", "project": DEFAULT}),
        ("/v1/sign-in-links", {"key": ours.key}),
    ):
        answer = asked.post(address, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (address, body, answer.text)
    for address, params in (
        ("/v1/models", {"dataset": ours.dataset}),
        ("/v1/evaluations", {"model": ours.model}),
        ("/v1/evaluations/compare", {"a": theirs.evaluation, "b": ours.evaluation}),
        ("/v1/snapshots/compare", {"a": theirs.snapshot, "b": ours.snapshot}),
        ("/v1/events", {"jobs": ours.training}),
    ):
        answer = asked.get(address, params=params, headers={"Accept": "application/json"})
        assert answer.status_code == 404, (address, answer.text)


def test_bytes_that_another_project_has_are_new(foreign, client, built):
    """Blobs are shared by their content, and no answer shows it."""
    asked, data = foreign(), picture((1, 2, 3))
    sent = client.post(f"/v1/datasets/{built.ours.dataset}/images", files=as_files([data]), data={"label": "eel"})
    sha256 = client.get(f"/v1/images/{sent.json()['files'][0]['image_id']}").json()["sha256"]
    theirs = f"/v1/datasets/{built.theirs.dataset}/images"
    assert asked.post(f"{theirs}/check", json={"sha256": [sha256]}).json()["known"] == []
    assert asked.post(theirs, files=as_files([data]), data={"label": "eel"}).json()["accepted"] == 1
    body = {"name": "a.zip", "bytes": 3, "sha256": "a" * 64}
    first, again, other = (one.post("/v1/uploads", json=body) for one in (client, client, asked))
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
    assert other.json()["id"] != first.json()["id"] == again.json()["id"]


def test_idempotency_keys_are_of_one_key(foreign, client):
    header = {"Idempotency-Key": "once"}
    made = [one.post("/v1/datasets", json={"name": "new"}, headers=header) for one in (client, client, foreign())]
    assert [answer.status_code for answer in made] == [201, 201, 201]
    ids = [answer.json()["id"] for answer in made]
    assert ids[0] == ids[1] != ids[2]


def test_streams_tell_of_the_own_project(services, built):
    key, _ = make_key(services, "admin", project_id=built.project)
    run_job(services, built.ours.training, {})
    run_job(services, built.theirs.training, {})

    async def listen():
        pieces, text = follow_all(services.of_caller(key, None), key, ALL, 0), ""
        while built.theirs.training not in text:
            text += (await anext(pieces)).decode()
        return text

    text = asyncio.run(listen())
    assert built.theirs.training in text
    assert not [secret for secret in built.ours.secrets if secret in text]


def test_a_stream_that_began_while_there_was_one_project_ends_when_there_are_two(services, built):
    """With the key as it was read then, and the database as it was seen."""
    assert services.of_caller(built.reader, None).database.view is None

    async def listen():
        return [piece async for piece in follow_all(services, built.reader, ALL, 0)]

    assert asyncio.run(listen()) == []


def test_what_concerns_the_whole_service_is_for_the_default_project(client, foreign, built):
    asked = foreign()
    for method, address, body in (
        ("GET", "/metrics", None),
        ("POST", "/v1/projects", {"name": "third"}),
        ("PATCH", f"/v1/projects/{built.project}", {"pictures_per_day": None}),
        ("DELETE", f"/v1/projects/{built.project}", None),
        ("POST", "/v1/batches", {"model": built.theirs.model, "input": {"source": "file:///pictures"}}),
        ("POST", f"/v1/datasets/{built.theirs.dataset}/imports", {"source": "file:///pictures"}),
    ):
        answer = asked.request(method, address, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "default_project_needed"), (address, answer.text)
    assert client.get("/metrics").status_code == 200


def test_administrators_of_the_default_project_administer_all_keys_and_read_the_whole_audit_log(client, foreign, built):
    asked = foreign()
    made = client.post("/v1/keys", json={"name": "theirs too", "scopes": ["read"], "project": "other"}).json()
    assert made["project"] == built.project
    for place in ("/v1/keys", "/v1/audit"):
        shown = [{row["project"] for row in one.get(place).json()["data"]} for one in (client, asked)]
        assert shown == [{DEFAULT, built.project}, {built.project}], place
    assert [row["name"] for row in asked.get("/v1/projects").json()["data"]] == ["other"]
    assert client.post(f"/v1/keys/{made['id']}/rotate", json={}).status_code == 200
    assert asked.delete(f"/v1/keys/{built.ours.key}").status_code == 404
    bound = {"name": "x", "scopes": ["read"], "datasets": [NAME], "project": "other"}
    assert client.post("/v1/keys", json=bound).status_code == 422


def test_the_last_administrator_of_a_project_is_revoked_by_those_of_the_service(client, foreign):
    asked = foreign()
    own = asked.get("/v1/keys/self").json()["id"]
    for row in asked.get("/v1/keys").json()["data"]:
        if row["id"] != own:
            assert asked.delete(f"/v1/keys/{row['id']}").status_code == 204
    assert asked.delete(f"/v1/keys/{own}", params={"own": True}).status_code == 409
    assert client.delete(f"/v1/keys/{own}").status_code == 204


def test_a_project_is_renamed_and_its_names_are_unique(client, built):
    place = f"/v1/projects/{built.project}"
    assert client.patch(place, json={"name": "lab", "pictures_per_day": 5}).json()["pictures_per_day"] == 5
    assert client.patch(place, json={"name": "lab"}).json()["pictures_per_day"] == 5, "what is left out stays"
    assert client.patch("/v1/projects/lab", json={"pictures_per_day": None}).json()["pictures_per_day"] is None
    for answer in (client.post("/v1/projects", json={"name": "lab"}), client.patch(place, json={"name": "default"})):
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert client.patch(place, json={"pictures_per_day": 0}).status_code == 422
    listed = client.get("/v1/projects").json()["data"]
    assert [(row["name"], row["default"]) for row in listed] == [("default", True), ("lab", False)]


def test_a_project_is_deleted_if_it_is_empty_or_by_its_name(client, services, foreign, built):
    asked, place = foreign(), f"/v1/projects/{built.project}"
    for params in ({}, {"confirm": "wrong"}):
        answer = client.delete(place, params=params)
        assert (answer.status_code, answer.json()["code"]) == (409, "project_not_empty")
    assert answer.json()["contents"]["datasets"] == 1
    assert asked.get("/v1/datasets").status_code == 200, "nothing was done yet"
    assert client.delete("/v1/projects/default", params={"confirm": "default"}).status_code == 409
    before = everything(services)
    assert client.delete(place, params={"confirm": "other"}).status_code == 204
    assert asked.get("/v1/datasets").status_code == 401
    assert client.get(place).status_code == 404
    assert everything(services) == before
    with services.database.reading() as session:
        assert session.query(Project).count() == 1
        assert session.query(AuditEntry).filter_by(project_id=built.project).count(), "the audit log remains"
    client.post("/v1/projects", json={"name": "empty"})
    assert client.delete("/v1/projects/empty").status_code == 204


def test_a_project_with_running_jobs_is_deleted_when_they_have_ended(client, services, built):
    with services.database.transaction() as session:
        work = leases.claim(session, Job, built.theirs.training, "test", 30)
    answer = client.delete("/v1/projects/other", params={"confirm": "other"})
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_done")
    with services.database.transaction() as session:
        assert leases.cancel(session, work)
    assert client.delete("/v1/projects/other", params={"confirm": "other"}).status_code == 204
