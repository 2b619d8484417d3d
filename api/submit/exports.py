"""Submission of exports, once for each model and format. Knows no HTTP."""

from api.http.errors import invalid_field
from api.http.idempotency import Made, Once, fingerprint_of
from api.services import Services
from api.submit.admission import check_room, create
from db import registry
from db.jobs import exports
from db.jobs.requests import ExportRequest
from db.models import ApiKey
from db.session import Session
from tsukiji.jobs import JobKind, Queue
from tsukiji.types import ExportFormat
from tsukiji.types.trainings import PATCHES


def start_export(services: Services, caller: ApiKey, once: Once, model: str, wanted: ExportFormat) -> Made:
    """Queue an export, unless one of this format exists or is in progress: then return that one's job.

    Raises:
        NotFound, QueueFull
        Invalid: a fastai learner of a transformer, which fastai does not support.
    """
    started: list[str] = []

    def make(session: Session) -> str:
        row = registry.find_model(session, model)
        if found := exports.find_job(session, row.id, wanted):
            return found.id
        if wanted == "fastai" and row.backbone in PATCHES:
            raise invalid_field("#/format", f"fastai does not support {row.backbone}; export it as onnx")
        check_room(session, services, JobKind.EXPORT, caller)
        request = ExportRequest(model=row.id, model_name=row.name, format=wanted)
        job = create(session, services, caller, JobKind.EXPORT, request, unit="files", total=1, model_id=row.id)
        started[:] = [job.id]
        return job.id

    made = once.make(services, fingerprint_of([model, wanted]), make)
    if started:
        services.notifier.notify(Queue.INTAKE)
    return made
