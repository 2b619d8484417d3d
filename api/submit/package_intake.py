"""Import of a package as a model of this service. Knows no HTTP."""

import shutil
import tempfile
from pathlib import Path, PurePosixPath

from starlette.datastructures import UploadFile

from api.http.bodies import Form, file_name
from api.http.errors import validated
from api.http.idempotency import Made, Once, fingerprint_of
from api.services import Services
from db import registry
from db.models import Evaluation, Model
from db.session import Session
from tsukiji import types
from tsukiji.ids import new_id
from tsukiji.ingest.packages.evaluations import Evaluated, read_evaluation
from tsukiji.ingest.packages.keeping import keep
from tsukiji.ingest.packages.sandbox import Room, unpack_apart
from tsukiji.kernel.storage.disk import disk_errors
from tsukiji.types import Name
from tsukiji.vision import package
from tsukiji.vision.drift import read_held_out
from tsukiji.vision.package import Manifest, ModelConfig

NAME_CHARACTERS = 200
ID_CHARACTERS = 40


class PackageOptions(types.Request):
    name: Name | None = None


def take_package(services: Services, once: Once, sent: Form) -> Made:
    """Unpack and check the zip, keep its files, and register them as a model with its evaluation in one transaction.

    Raises:
        PackageInvalid: it is no package, or one that is not whole.
        Invalid: the name cannot be one.
    """
    (upload,) = sent.files
    name = validated(PackageOptions, {"name": sent.one("name")}, "body").name or name_of(upload)
    uploads = services.settings.cache_dir / "uploads"
    with disk_errors():
        uploads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=uploads) as scratch:
        folder = Path(scratch) / "package"
        folder.mkdir()
        open_zip(services, upload, Path(scratch) / "package.zip", folder)
        manifest, config = package.read_manifest(folder), package.read_config(folder)
        image_size, evaluated = package.read_preprocess(folder).size, read_evaluation(folder)
        held_out = read_held_out(folder)
        fingerprint = fingerprint_of([manifest.model_dump(mode="json"), name])
        if made := once.found(services, fingerprint):
            return made
        blobs = keep(services.store, folder)

    def make(session: Session) -> str:
        model = model_of(manifest, config, evaluated, name, image_size)
        model.bytes = sum(blob.size for blob in blobs.values())
        model.held_out = None if held_out is None else held_out.model_dump()
        registry.add_model(session, model, {file: (blob.sha256, blob.size) for file, blob in blobs.items()})
        if evaluated:
            metrics = evaluated.metrics.model_dump(mode="json")
            row = Evaluation(id=new_id("evl"), model_id=model.id, split=evaluated.split, metrics=metrics)
            registry.add_evaluation(session, row, [])
        return model.id

    return once.make(services, fingerprint, make)


def open_zip(services: Services, upload: UploadFile, archive: Path, folder: Path) -> None:
    """Unpack the upload into the folder, and check what it is; all that is read of it afterwards is small and valid."""
    upload.file.seek(0)
    with disk_errors(), archive.open("wb") as file:
        shutil.copyfileobj(upload.file, file)
    limits = services.settings.limits
    unpack_apart(archive, folder, Room(limits.request_bytes, limits.archive_ratio, limits.dataset_classes))
    archive.unlink()


def model_of(manifest: Manifest, config: ModelConfig, evaluated: Evaluated | None, name: str, image_size: int) -> Model:
    known = {"backbone": config.architecture, "pretrained": config.pretrained, "image_size": image_size}
    return Model(
        id=new_id("mdl"),
        name=name,
        backbone=config.architecture,
        kind=config.kind,
        label_names=config.label_names,
        recipe=(evaluated.recipe if evaluated else {}) | known,
        accuracy=evaluated.metrics.accuracy if evaluated else None,
        versions=manifest.versions,
        imported_from=manifest.model_id[:ID_CHARACTERS],
    )


def name_of(upload: UploadFile) -> str:
    """Return the file's name without `.zip`, as far as a model may be called so."""
    stem = PurePosixPath(file_name(upload, 1).replace("\\", "/")).name.removesuffix(".zip")
    return stem[:NAME_CHARACTERS] or "model"
