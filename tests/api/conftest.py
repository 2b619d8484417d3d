"""A real application on SQLite, built by the migrations, with a store in memory.

Work is done by calling `db` as a worker does.
"""

import io
import shutil
import struct
import zipfile
from contextlib import ExitStack

import pytest
from PIL import Image
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from api.main import create_app
from api.services import Services
from db import aliases, keys, registry
from db.jobs import batches, jobs, leases, scheduling
from db.models import Evaluation, Job, Model
from db.session import Database
from tests.settings import make_settings
from tsukiji.errors import BrokerUnavailable
from tsukiji.ids import new_id
from tsukiji.ingest.sources import Sources
from tsukiji.jobs import Queue
from tsukiji.kernel import log
from tsukiji.kernel.settings import DataSettings, JobSettings, LimitSettings, OidcSettings
from tsukiji.kernel.storage.memory import MemoryStore
from worker import freezing
from worker.runner import run
from worker.services import Services as WorkerServices

LABELS = ["eel", "squid", "tuna"]
OPEN = {"/livez", "/readyz", "/metrics", "/problems/{code}"}
"""Addresses without a key, or with one only by the settings."""
NO_CHROMIUM = "Chromium is not there; `make browser` installs it, or set TSUKIJI_TEST_CHROMIUM to its path"


def pytest_terminal_summary(terminalreporter):
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if NO_CHROMIUM in report.longrepr[2]]
    if skipped:
        terminalreporter.write_line(f"LEFT OUT: {len(skipped)} tests, because {NO_CHROMIUM}", yellow=True, bold=True)


class RecordedWakeups:
    """A broker that accepts everything and notifies no worker."""

    def __init__(self):
        self.sent = []
        self.away = False

    def notify(self, queue, times=1):
        if self.away:
            return False
        self.sent += [str(queue)] * times
        return True

    def check(self):
        if self.away:
            raise BrokerUnavailable("gone")


@pytest.fixture(autouse=True)
def logged():
    """What the application wrote into its log."""
    with capture_logs(processors=[log.merge_ids]) as lines:
        yield lines


@pytest.fixture
def settings(tmp_path, migrated_sqlite):
    shutil.copy(migrated_sqlite, tmp_path / "tsukiji.db")
    return settings_in(tmp_path)


def settings_in(folder):
    limits = LimitSettings(class_min_images=2, image_bytes=200_000, json_bytes=20_000, predict_bytes=600_000)
    return make_settings(data=DataSettings(dir=folder), limits=limits)


class Current:
    """The services of the test that runs; the application is put together once for all of them."""

    services = None


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    return create_app(settings_in(tmp_path_factory.mktemp("unused")), lambda _settings: Current.services)


@pytest.fixture(scope="session")
def operations(app):
    """Path and method of every route of the API, with its scopes; a key needs one of them."""
    return [
        (path, method, operation["x-scopes"])
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
        if path not in OPEN
    ]


@pytest.fixture
def services(settings):
    made = Current.services = Services(settings, Database(settings), MemoryStore(), RecordedWakeups())
    yield made
    made.database.close()


@pytest.fixture
def freeze(client, services):
    """Do the first phase of a training as a worker does, and return the job as it is then told."""
    of_worker = worker_of(services, "train@test")

    def freeze(job_id):
        with services.database.transaction() as session:
            job = leases.claim(session, Job, job_id, of_worker.worker, 30)
        run(of_worker, job, freezing.freeze)
        return client.get(f"/v1/jobs/{job_id}").json()

    return freeze


def worker_of(services, name="worker@test"):
    """The services of a worker on the rows and bytes of the application."""
    settings = services.settings
    return WorkerServices(settings, services.database, services.store, services.notifier, Sources(settings), name)


@pytest.fixture
def similarity_worker(services, monkeypatch):
    """A worker that can be asked which images look alike."""
    from tests.api import similar  # noqa: PLC0415 - few tests need it, and it loads PyTorch

    with similar.answering(worker_of(services), monkeypatch) as worker:
        yield worker


@pytest.fixture
def reds(client, services, similarity_worker):
    """Images of all shades of red, with their features; by red."""
    from tests.api import similar  # noqa: PLC0415 - few tests need it, and it loads PyTorch

    images = similar.add(client, "reds", *similar.REDS)
    similar.keep(services, images, *similar.REDS)
    return images


@pytest.fixture
def suggestion_worker(services):
    return worker_of(services)


@pytest.fixture
def pets(client, services):
    """24 images without labels, cats and dogs by their features; {name: id}, cats first."""
    from tests.api import suggesting  # noqa: PLC0415 - few tests need it, and it loads PyTorch

    return suggesting.add_pets(client, services)


@pytest.fixture
def suggest(client, services, suggestion_worker, pets):
    """Ask for a round, let a worker do it, and return what is shown."""
    from tests.api import suggesting  # noqa: PLC0415 - few tests need it, and it loads PyTorch

    def suggest():
        job = client.post(suggesting.PLACE, json={}).json()
        suggesting.work(services, suggestion_worker, job["id"])
        job = client.get(f"/v1/suggestions/{job['id']}").json()
        assert (job["status"], job["error"]) == ("succeeded", None)
        return client.get(suggesting.PLACE).json()

    return suggest


@pytest.fixture
def start(app, services):
    """Open a client; `start()` is one that has no key."""
    with ExitStack() as opened:

        def open_client(key=None, **options):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            client = TestClient(app, base_url="http://127.0.0.1:8000", headers=headers, **options)
            return opened.enter_context(client)

        yield open_client


@pytest.fixture(scope="session")
def running_openid_provider():
    from tests.api.openid_provider import running_provider  # noqa: PLC0415 - few tests need it, and it takes a second

    with running_provider() as provider:
        yield provider


@pytest.fixture
def openid_provider(running_openid_provider, services):
    """An honest OpenID provider, which the service knows."""
    running_openid_provider.reset()
    configure_openid(services, issuer=running_openid_provider.url)
    return running_openid_provider


def configure_openid(services, **settings):
    """Change the settings of the OpenID provider."""
    known = services.settings.oidc.model_dump() | {"client_id": "tsukiji", "client_secret": "hush"} | settings
    services.settings = services.settings.model_copy(update={"oidc": OidcSettings(**known)})
    services.__dict__.pop("provider", None)


@pytest.fixture
def key(services):
    with services.database.transaction() as session:
        return keys.create(session, "tests")[1]


@pytest.fixture
def client(start, key):
    return start(key)


@pytest.fixture
def stranger(start):
    return start()


def picture(colour=(200, 80, 40), size=(24, 20), kind="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return buffer.getvalue()


def pictures(count, shade=0):
    return [picture((shade, number % 256, number // 256)) for number in range(count)]


def archive(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return buffer.getvalue()


def as_files(blobs, field="files"):
    return [(field, (f"{number}.png", data, "image/png")) for number, data in enumerate(blobs)]


@pytest.fixture
def dataset(client):
    return make_dataset(client)


@pytest.fixture
def model(services):
    return make_model(services)


def make_dataset(client):
    """A data set with four pictures of each of two kinds."""
    made = client.post("/v1/datasets", json={"name": "sushi"}).json()
    for shade, label in enumerate(("eel", "tuna")):
        sent = client.post(
            f"/v1/datasets/{made['id']}/images", files=as_files(pictures(4, shade * 9)), data={"label": label}
        )
        assert sent.json()["accepted"] == 4
    return made["id"]


def make_model(services):
    """A model as a training registers it: package, evaluation, alias."""
    with services.database.transaction() as session:
        row = Model(
            id=new_id("mdl"),
            name="sushi",
            backbone="resnet34",
            label_names=LABELS,
            recipe={"image_size": 224, "pretrained": True},
            accuracy=0.9,
            bytes=11,
        )
        files = {"manifest.json": b"{}", "model.safetensors": b"weights!!"}
        blobs = {name: services.store.put(data) for name, data in files.items()}
        registry.add_model(session, row, {name: (blob.sha256, blob.size) for name, blob in blobs.items()})
        metrics = {
            "accuracy": 0.75,
            "loss": 0.5,
            "images": 4,
            "label_names": LABELS,
            "per_class": [
                {"label": label, "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1} for label in LABELS
            ],
            "confusion": [[1, 1, 0], [0, 1, 0], [0, 0, 1]],
        }
        evaluation = Evaluation(id=new_id("evl"), model_id=row.id, split="valid", metrics=metrics)
        item = {"image_id": None, "sha256": "0" * 64, "score": 0.6, "loss": 0.5, "probabilities": b""}
        cells = [("eel", "eel"), ("eel", "squid"), ("squid", "squid"), ("tuna", "tuna")]
        registry.add_evaluation(
            session,
            evaluation,
            [
                item | {"seq": seq, "name": f"{seq}.png", "true_label": true, "predicted_label": predicted}
                for seq, (true, predicted) in enumerate(cells)
            ],
        )
        aliases.put(session, "production", row.id)
        return row.id


def claim_chunk(session):
    """Claim the chunk whose turn it is."""
    job_id = session.scalar(scheduling.due(Queue.INFER).limit(1))
    return job_id and scheduling.take(session, Queue.INFER, job_id, "test", JobSettings())


def work(services, probabilities=(0.1, 0.2, 0.7), chunks=None, errors=(), known_score=None):
    """Do the work of an `infer` worker with up to this many chunks, or all; `errors` are seqs that fail."""
    for _ in range(1000 if chunks is None else chunks):
        with services.database.transaction() as session:
            claimed = claim_chunk(session)
            if claimed is None:
                return
            items = batches.items_of(session, claimed)
            rows = [predict(item, probabilities, item.seq in errors, known_score) for item in items]
            assert batches.finish_chunk(session, claimed, rows)


def predict(item, probabilities, failed, known_score=None):
    row = batches.blank_prediction(item.seq)
    if item.error or failed:
        return row | {"error": item.error or {"code": "truncated", "title": "cut", "detail": "cut short"}}
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    blob = struct.pack(f"<{len(probabilities)}f", *probabilities)
    return row | {
        "label": LABELS[best],
        "score": probabilities[best],
        "known_score": known_score,
        "probabilities": blob,
        "width": 24,
        "height": 20,
    }


def run_job(services, job_id, result):
    """Do what a worker does with a whole job: claim it, report an epoch, end it well."""
    with services.database.transaction() as session:
        job = leases.claim(session, Job, job_id, "test", 30)
        epoch = {"epoch": 1, "train_loss": 1.0, "valid_loss": 0.5, "accuracy": 0.9, "seconds": 2.0}
        jobs.record(session, job_id, "metric", epoch, attempt=job.attempt)
        assert jobs.finish(session, job, result)


def limited(settings, **limits):
    """Return settings with other limits."""
    return settings.model_copy(update={"limits": settings.limits.model_copy(update=limits)})
