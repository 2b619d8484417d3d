import shutil
import zipfile
from datetime import UTC, datetime
from functools import partial

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from db import blobs, registry
from db.curation import datasets
from db.jobs import jobs, leases, scheduling
from db.models import Job, Model
from devtools import warm_engine
from tests.settings import make_settings
from tsukiji.curation import snapshots, splits
from tsukiji.ids import new_id
from tsukiji.jobs import JobKind, Queue
from tsukiji.kernel.settings import DataSettings, JobSettings, TrainingSettings
from tsukiji.types import Recipe
from tsukiji.vision import package
from tsukiji.vision.model import build
from tsukiji.vision.preprocess import Preprocess
from worker.inference import chunks
from worker.inference.model_cache import ModelCache
from worker.jobs import engine
from worker.runner import CHUNK, run, work_next
from worker.services import open_services
from worker.shutdown import stopping

BACKBONE = "efficientnet_lite0"
"""Small, and needs no timm for inference."""
RECIPE = Recipe(backbone=BACKBONE, epochs=2, image_size=32, pretrained=False, batch_size=8)


@pytest.fixture(autouse=True)
def warm(monkeypatch):
    """Engines are forks of one that has imported all; `tests/e2e` starts them as workers do."""
    monkeypatch.setattr(engine, "subprocess", warm_engine)


@pytest.fixture
def services(tmp_path, migrated_sqlite):
    """A worker's services on the embedded database, store and queue."""
    settings = make_settings(
        data=DataSettings(dir=tmp_path),
        jobs=JobSettings(lease_seconds=5, beat_seconds=1, tick_seconds=0.05, chunk_images=4),
        training=TrainingSettings(device="cpu", workers=0),
    )
    shutil.copy(migrated_sqlite, tmp_path / "tsukiji.db")
    services = open_services(settings)
    yield services
    stopping.clear()
    services.database.close()


def work(services, job_id, act):
    """Claim this job and do it as a worker does, unless it is not to be had."""
    settings = services.settings.jobs
    with services.database.transaction() as session:
        hours = settings.training_hours
        job = leases.claim(session, Job, job_id, services.worker, settings.lease_seconds, 3600 * hours)
    if job is not None:
        run(services, job, act)


def run_next(services, models):
    """Take the chunk whose turn it is; returns whether to look for another."""
    return work_next(services, Queue.INFER, {CHUNK: partial(chunks.classify, models)})


def run_chunks(services, models):
    while run_next(services, models):
        pass


def waiting_chunks(services):
    with services.database.reading() as session:
        return scheduling.waiting(session, Queue.INFER, 500)


class Recorder:
    """Stands in for a broker: remembers the bells that rang, or is down."""

    def __init__(self, up=True):
        self.up, self.sent = up, []

    def notify(self, queue, times=1):
        if self.up:
            self.sent += [queue] * times
        return self.up


def with_broker(services, broker):
    services.notifier = broker
    return broker


def picture(number, side=24):
    """A picture that no other number gives: mostly red when even, mostly blue when odd."""
    red, blue = (200, 40) if number % 2 == 0 else (40, 200)
    image = Image.new("RGB", (side, side), (red, number % 200, blue))
    image.putpixel((0, 0), (number // 200, 0, 0))
    return image


@pytest.fixture
def archive(tmp_path):
    """Write a zip; values are bytes, or a number for that picture."""

    def write(files):
        path = tmp_path / "archive.zip"
        with zipfile.ZipFile(path, "w") as file:
            for name, content in files.items():
                with file.open(name, "w") as entry:
                    if isinstance(content, bytes):
                        entry.write(content)
                    else:
                        picture(content).save(entry, "PNG")
        return path

    return write


@pytest.fixture
def pets(archive):
    """A zip of two classes."""
    return archive({f"{'red' if number % 2 == 0 else 'blue'}/{number}.png": number for number in range(24)})


@pytest.fixture
def submit(services):
    """Make the rows that the API makes."""
    return Submissions(services)


class Submissions:
    def __init__(self, services):
        self.services = services

    def job(self, kind, **columns):
        with self.services.database.transaction() as session:
            if columns.get("upload_sha256"):
                blobs.keep(session, [(columns["upload_sha256"], 1)])
            return jobs.create(session, kind, max_attempts=3, **columns)

    def import_zip(self, path, name="pets", kind="single_label"):
        blob = self.services.store.put(path)
        with self.services.database.transaction() as session:
            dataset = datasets.create(session, name, kind=kind)
        request = {"dataset": dataset.id}
        return self.job(JobKind.IMPORT, request=request, dataset_id=dataset.id, upload_sha256=blob.sha256, unit="files")

    def training(self, dataset_id, recipe=RECIPE):
        with self.services.database.reading() as session:
            images = datasets.labelled_images(session, dataset_id)
        items = [snapshots.SnapshotItem(i.id, i.sha256, i.name, i.label, i.split) for i in images]
        draw = splits.assign_splits(items, valid_fraction=0.3, seed=1)
        blob = self.services.store.put(snapshots.dumps(draw.items))
        with self.services.database.transaction() as session:
            snapshot = registry.add_snapshot(
                session, dataset_id, blob.sha256, blob.size, len(items), draw.leakage.model_dump()
            )
        return self.job(
            JobKind.TRAINING,
            request={"recipe": recipe.model_dump(), "name": "pets"},
            dataset_id=dataset_id,
            snapshot_id=snapshot.id,
            unit="epochs",
            total=recipe.epochs,
        )

    def batch(self, model, source, **columns):
        request = {"model": model.id, "label_names": model.label_names, "top_k": 3, "threshold": 0, "input": source}
        return self.job(JobKind.BATCH, request=request, model_id=model.id, **columns)

    def find(self, job):
        with self.services.database.reading() as session:
            return jobs.find(session, job.id)

    def history(self, job):
        with self.services.database.reading() as session:
            return jobs.events(session, job.id)


@pytest.fixture(scope="session")
def package_folder(tmp_path_factory):
    """A sealed package of an untrained network."""
    folder = tmp_path_factory.mktemp("package")
    torch.manual_seed(0)
    model = build(BACKBONE, 2)
    save_file(model.state_dict(), folder / package.WEIGHTS)
    config = package.ModelConfig(
        architecture=BACKBONE,
        num_classes=2,
        num_features=model.num_features,
        label_names=["blue", "red"],
        pretrained=False,
    )
    package.write_part(folder, package.CONFIG, config)
    package.write_part(folder, package.PREPROCESS, Preprocess(size=32))
    package.write_part(folder, package.CALIBRATION, package.Calibration())
    package.seal(folder, model_id="mdl_test", created=datetime.now(UTC), versions={})
    return folder


@pytest.fixture
def model(services, package_folder):
    """A registered model."""
    files = {path.name: services.store.put(path) for path in package_folder.iterdir()}
    row = Model(
        id=new_id("mdl"),
        name="pets",
        backbone=BACKBONE,
        label_names=["blue", "red"],
        recipe={},
        accuracy=None,
        bytes=1,
    )
    with services.database.transaction() as session:
        registry.add_model(session, row, {name: (blob.sha256, blob.size) for name, blob in files.items()})
    return row


@pytest.fixture
def models(services):
    return ModelCache(services)
