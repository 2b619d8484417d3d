"""Every route with every scope, and what a bound key finds of what is not its own.

The first test sends a thousand requests, to each route nine: it takes some seconds, and guards them all.
"""

import asyncio
import shutil
from itertools import product

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.testclient import TestClient

from api.http.access import ANY
from api.services import Services
from db import keys
from db.clock import now
from db.models import Analysis, Evaluation, Finding, Job, Model
from db.session import Database, Session
from tests.api.conftest import Current, RecordedWakeups, as_files, picture, pictures, settings_in, work
from tsukiji.ids import new_id
from tsukiji.kernel.storage.memory import MemoryStore
from tsukiji.scopes import SCOPES, may

EMPTY = "none"
READABLE_BY_POST = {
    "/v1/datasets/{dataset}/images/check",
    "/v1/datasets/{dataset}/images/folders",
    "/v1/sign-in-links",
    "/v1/similar",
}
"""What a key that may only read can send a POST to: these change nothing of anyone else's."""


def make_key(services, *scopes, **columns):
    with services.database.transaction() as session:
        row, secret = keys.create(session, "-".join(scopes) or "key", scopes, **columns)
        return row, {"Authorization": f"Bearer {secret}", "Accept": "application/json"}


def fill(path, **ids):
    values = {"seq": "0", "number": "1", "format": "onnx"} | ids
    parts = [values.get(part[1:-1], EMPTY) if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


def test_every_route_takes_the_scopes_that_it_names_and_no_others(app, stranger, services, operations):
    """`stranger` has started the application, which is then called without the detour by a thread of its own."""
    one_each = {scope: make_key(services, scope)[1] for scope in SCOPES}
    refused = {"none": {}, "unknown": {"Authorization": "Bearer " + keys.make_secret()}}
    refused["expired"] = make_key(services, "admin", expires_at=now(-1))[1]
    revoked, refused["revoked"] = make_key(services, "admin")
    with services.database.transaction() as session:
        keys.revoke(session, revoked.id)
    assert len(operations) > 95

    async def ask_all():
        async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1:8000") as client:
            for (path, method, _), (why, headers) in product(operations, refused.items()):
                answer = await client.request(method, fill(path), headers=headers)
                assert answer.status_code == 401, (method, path, why)
            for (path, method, wanted), (scope, headers) in product(operations, one_each.items()):
                answer = await client.request(method, fill(path), headers=headers)
                missing = answer.status_code == 403 and answer.json()["code"] == "scope_missing"
                assert missing != may([scope], *wanted), (method, path, scope, answer.text)
                assert not missing or answer.json()["needs"] == wanted

    asyncio.run(ask_all())


def test_metrics_are_for_keys_that_read_everything(stranger, services, halves):
    bound = {"datasets": [halves[0].dataset]}
    for scopes, binding, status in ((["read"], {}, 200), (["predict"], {}, 403), (["read"], bound, 403)):
        headers = make_key(services, *scopes, **binding)[1]
        assert stranger.get("/metrics", headers=headers).status_code == status, (scopes, binding)


def test_a_key_that_may_only_read_changes_nothing(operations):
    changing = {path for path, method, wanted in operations if method != "get" and may(["read"], *wanted)}
    assert changing == READABLE_BY_POST


OF_ADMINISTRATORS = ("/v1/keys", "/v1/people", "/v1/invitations", "/v1/projects", "/v1/webhooks", "/v1/audit")


def test_keys_people_and_what_is_told_of_all_are_for_administrators(operations):
    for path, _, wanted in operations:
        if path.startswith(OF_ADMINISTRATORS):
            assert wanted == (list(ANY) if path == "/v1/keys/self" else ["admin"])


# --- bound keys ------------------------------------------------------------------------------------------------------


class Half:
    """One of two halves of a service: a data set, and one of each thing that hangs on it."""

    def __init__(self, client, services, name):
        self.name = name
        self.dataset = client.post("/v1/datasets", json={"name": name}).json()["id"]
        shade = len(name)
        for label in ("eel", "tuna"):
            shade += 20
            client.post(
                f"/v1/datasets/{self.dataset}/images", files=as_files(pictures(3, shade)), data={"label": label}
            )
        self.image = client.get(f"/v1/datasets/{self.dataset}/images").json()["data"][0]["id"]
        client.post(f"/v1/datasets/{self.dataset}/revisions", json={"act": "exclude", "images": [self.image]})
        self.revision = client.get(f"/v1/datasets/{self.dataset}/revisions").json()["data"][0]["id"]
        self.snapshot = client.post(f"/v1/datasets/{self.dataset}/snapshots").json()["id"]
        with services.database.transaction() as session:
            self.add_rows(session)
        self.alias = f"{name}-live"
        client.put(f"/v1/aliases/{self.alias}", json={"model": self.model})
        self.batch = client.post("/v1/batches", data={"model": self.model}, files=as_files([picture()])).json()["id"]
        predicted = client.post(
            f"/v1/models/{self.model}/predict", files=as_files([picture()]), headers={"Prefer": "wait=0"}
        )
        self.prediction = predicted.json()["id"]
        work(services)
        start = f"/v1/datasets/{self.dataset}"
        self.analysis = client.post(f"{start}/analyses", json={}).json()["id"]
        self.suggestion = client.post(f"{start}/suggestions", json={}).json()["id"]
        made = client.post(
            f"{start}/imports", content=b"url\n", headers={"Content-Type": "text/csv"}, params={"label": "eel"}
        )
        self.import_id = made.json()["id"]
        asked = {"model": self.model, "dataset": self.dataset}
        self.job = client.post("/v1/evaluations", json=asked).json()["id"]
        asked = {"dataset": self.dataset, "recipe": {"pretrained": False}}
        self.training = client.post("/v1/trainings", json=asked).json()["id"]
        self.upload = client.post("/v1/uploads", json={"name": name, "bytes": 3}).json()["id"]

    def add_rows(self, session: Session):
        """Insert what a training and an analysis would."""
        model = Model(
            id=new_id("mdl"),
            name=f"{self.name}-model",
            dataset_id=self.dataset,
            snapshot_id=self.snapshot,
            backbone="resnet34",
            label_names=["eel", "squid", "tuna"],
            recipe={},
            bytes=1,
        )
        session.add(model)
        session.flush()
        labels = {"label_names": ["eel"], "per_class": [], "confusion": [[1]]}
        metrics = {"accuracy": 1.0, "loss": 0.1, "images": 0, **labels}
        facts = {"model_id": model.id, "dataset_id": self.dataset, "split": "valid", "metrics": metrics}
        evaluation = Evaluation(id=new_id("evl"), **facts)
        finding = {"image_id": self.image, "kind": "blurry", "dataset_id": self.dataset, "score": 0.1}
        session.add_all([evaluation, Finding(**finding)])
        session.add(Analysis(dataset_id=self.dataset, job_id="ana_x", images=1, unavailable=[]))
        self.model, self.evaluation = model.id, evaluation.id

    @property
    def ids(self):
        """Path parameters by their names."""
        return {**vars(self), "name": self.alias}

    @property
    def secrets(self):
        """Ids and names that another half must not read."""
        return {value for name, value in vars(self).items()}


@pytest.fixture(scope="module")
def built(app, migrated_sqlite, tmp_path_factory):
    """Two halves, built once: a copy of the database, the store, and what is in them."""
    folder = tmp_path_factory.mktemp("halves")
    shutil.copy(migrated_sqlite, folder / "tsukiji.db")
    settings = settings_in(folder)
    made = Current.services = Services(settings, Database(settings), MemoryStore(), RecordedWakeups())
    with TestClient(app, base_url="http://127.0.0.1:8000", headers=make_key(made, "admin")[1]) as client:
        halves = Half(client, made, "ours"), Half(client, made, "theirs")
    return (folder / "tsukiji.db").read_bytes(), made.store, halves


@pytest.fixture
def halves(built):
    return built[2]


@pytest.fixture
def settings(tmp_path, built):
    (tmp_path / "tsukiji.db").write_bytes(built[0])
    return settings_in(tmp_path)


@pytest.fixture
def services(services, built):
    services.store = built[1]
    return services


@pytest.fixture
def bound(start, services, halves):
    """A client whose key may do all that a bound key can, in one half."""
    secret = make_key(services, "predict", "label", "train", datasets=[halves[0].dataset])[1]
    client = start()
    client.headers.update(secret)
    return client


NOT_MADE = (
    "/uploads",
    "/{dataset}/suggestions",
    "/heatmap.png",
    "/exports/{format}",
    "/predictions/{prediction}",
    "/similar",
    "/map",
    "/guarantee",
    "/parts/{seq}",
)
"""What the other half lacks, or has lost: an answer of 404 proves nothing there."""


def test_what_is_foreign_to_a_bound_key_does_not_exist(client, bound, services, halves, operations):
    """By every route with an id in its path; the same address answers a key that is not bound."""
    _, theirs = halves
    before = counted(services)
    for path, method, _ in operations:
        if "{" not in path or path.startswith(OF_ADMINISTRATORS):
            continue
        address = fill(path, **theirs.ids)
        answer = bound.request(method, address, params={"pile": "doubtful"}, json={} if method != "get" else None)
        unread = {422, 415} if method != "get" else set()  # the body is looked at first
        assert answer.status_code in {404, 403} | unread, (method, path, answer.text)
        assert answer.status_code != 403 or answer.json()["code"] == "key_bound"
        if method == "get" and not any(part in path for part in NOT_MADE):
            seen = client.get(address, headers={"Accept": "application/json"})
            assert seen.status_code == 200, (path, seen.text)
    assert counted(services) == before, "and nothing was changed"


def counted(services):
    with services.database.reading() as session:
        return [session.query(table).count() for table in (Model, Job, Evaluation, Finding)]


def test_a_bound_key_works_with_its_own_and_reads_nothing_else(client, bound, halves, operations):
    ours, theirs = halves
    foreign = theirs.secrets - ours.secrets
    shown = set()
    for path, method, wanted in operations:
        if method != "get" or wanted == ["admin"]:
            continue
        address = fill(path, **ours.ids)
        query = {"q": "theirs", "a": ours.snapshot if "snapshots" in path else ours.evaluation}
        params = query | {"b": query["a"], "pile": "doubtful"} if "{" not in path or "pile" in path else {}
        answer = bound.get(address, params=params, headers={"Accept": "application/json"})
        no_worker = {409} if path.endswith(("/similar", "/map")) else set()
        assert answer.status_code in {200, 404, 410, 422} | no_worker, (path, answer.text)
        found = {one for one in foreign if f'"{one}"' in answer.text or f"/{one}" in answer.text}
        assert not found, (path, found)
        shown |= {one for one in ours.secrets if one in answer.text}
    assert {ours.dataset, ours.model, ours.image, ours.training, ours.batch, ours.alias, ours.evaluation} <= shown


@pytest.mark.parametrize("kind", ["datasets", "models", "aliases", "jobs", "trainings", "batches", "evaluations"])
def test_lists_are_filtered(client, bound, halves, kind):
    theirs = halves[1]
    assert theirs.name in client.get(f"/v1/{kind}").text or theirs.model in client.get(f"/v1/{kind}").text
    mine, everything = ([row.get("id") for row in asked.get(f"/v1/{kind}").json()["data"]] for asked in (bound, client))
    assert 0 < len(mine) < len(everything)


def test_bodies_and_queries_name_nothing_foreign(bound, halves):
    ours, theirs = halves
    for address, body in (
        ("/v1/trainings", {"dataset": theirs.dataset}),
        ("/v1/evaluations", {"model": ours.model, "dataset": theirs.name}),
        ("/v1/evaluations", {"model": theirs.alias, "dataset": ours.name}),
        ("/v1/batches", {"model": ours.model, "input": {"dataset": theirs.dataset}}),
        ("/v1/batches", {"model": theirs.model, "input": {"dataset": ours.dataset}}),
        ("/v1/batches", {"model": ours.model, "input": {"upload": theirs.upload}}),
        (f"/v1/datasets/{ours.dataset}/imports", {"upload": theirs.upload}),
        (f"/v1/jobs/{ours.batch}/feedback", {"dataset": theirs.dataset, "corrections": [{"seq": 0, "label": "eel"}]}),
    ):
        answer = bound.post(address, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (address, body, answer.text)
    for address, params in (
        ("/v1/models", {"dataset": theirs.dataset}),
        ("/v1/trainings", {"dataset": theirs.name}),
        ("/v1/evaluations", {"model": theirs.model}),
        ("/v1/evaluations/compare", {"a": ours.evaluation, "b": theirs.evaluation}),
        ("/v1/snapshots/compare", {"a": ours.snapshot, "b": theirs.snapshot}),
        ("/v1/events", {"jobs": theirs.training}),
    ):
        answer = bound.get(address, params=params, headers={"Accept": "application/json"})
        assert answer.status_code == 404, (address, answer.text)
    edit = bound.post(
        f"/v1/datasets/{ours.dataset}/revisions", json={"act": "relabel", "label": "eel", "images": [theirs.image]}
    )
    assert edit.status_code in {404, 422}


def test_what_the_whole_service_shares_is_not_for_bound_keys(bound, halves):
    ours, _ = halves
    for method, address, body in (
        ("POST", "/v1/datasets", {"name": "new"}),
        ("POST", "/v1/datasets/sample", None),
        ("PUT", f"/v1/aliases/{ours.alias}", {"model": ours.model}),
        ("PUT", "/v1/aliases/theirs-live", {"model": ours.model}),
        ("POST", "/v1/batches", {"model": ours.model, "input": {"source": "file:///pictures"}}),
        ("POST", f"/v1/datasets/{ours.dataset}/imports", {"source": "file:///pictures"}),
    ):
        answer = bound.request(method, address, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "key_bound"), (address, answer.text)


def test_a_key_bound_to_an_alias_follows_it(client, services, start, halves):
    ours, theirs = halves
    camera = start()
    camera.headers.update(make_key(services, "predict", models=[ours.alias])[1])
    assert [row["id"] for row in camera.get("/v1/models").json()["data"]] == [ours.model]
    assert camera.get(f"/v1/models/{theirs.alias}").status_code == 404
    client.put(f"/v1/aliases/{ours.alias}", json={"model": theirs.model})
    assert camera.get(f"/v1/models/{ours.alias}").json()["id"] == theirs.model
    assert camera.get(f"/v1/models/{ours.model}").status_code == 404


def test_a_key_that_may_only_predict_finds_what_it_started(client, services, start, halves):
    ours, _ = halves
    _, headers = make_key(services, "predict")
    camera = start()
    camera.headers.update(headers)
    sent = camera.post(f"/v1/models/{ours.model}/predict", files=as_files([picture()]), headers={"Prefer": "wait=0"})
    assert sent.status_code == 202, sent.text
    mine = sent.json()["id"]
    assert camera.get(f"/v1/predictions/{mine}").status_code == 200
    assert [job["id"] for job in camera.get("/v1/jobs").json()["data"]] == [mine]
    assert camera.get(f"/v1/batches/{ours.batch}").status_code == 404
    in_data = camera.post("/v1/batches", json={"model": ours.model, "input": {"dataset": ours.dataset}})
    assert in_data.status_code == 404, "it may not read the pictures of data sets by classifying them"
    assert camera.post(f"/v1/jobs/{mine}/cancel").status_code == 200


def test_jobs_of_others_are_stopped_only_by_who_may_train(services, start, halves):
    ours, _ = halves
    for scopes, status in ((("read", "predict"), 403), (("label",), 403), (("train",), 200)):
        headers = make_key(services, *scopes)[1]
        answer = start().post(f"/v1/jobs/{ours.training}/cancel", headers=headers)
        assert answer.status_code == status, (scopes, answer.text)


def test_limits_of_all_keys_together_count_what_a_bound_key_does_not_see(bound, services, halves):
    ours, _ = halves
    limits = services.settings.limits.model_copy(update={"all_queued_trainings": 2})
    services.settings = services.settings.model_copy(update={"limits": limits})
    answer = bound.post("/v1/trainings", json={"dataset": ours.dataset, "recipe": {"pretrained": False}})
    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
