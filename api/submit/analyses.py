"""Submission of analyses. Knows no HTTP."""

from api.http.idempotency import Made, Once, fingerprint_of
from api.services import Services
from api.submit.admission import check_room
from api.submit.backbones import settle_backbone
from db.curation import analyses, datasets
from db.jobs.requests import AnalysisRequest
from db.models import ApiKey
from db.session import Session
from tsukiji.jobs import JobKind, Queue
from tsukiji.types import AnalysisCreate


def start_analysis(services: Services, caller: ApiKey, once: Once, dataset: str, body: AnalysisCreate) -> Made:
    """Queue an analysis, unless an equal one is queued: that one will see the same images.

    Raises:
        NotFound, QueueFull
    """

    def make(session: Session) -> str:
        row = datasets.find(session, dataset)
        check_room(session, services, JobKind.ANALYSIS, caller)
        attempts = services.settings.jobs.max_attempts
        backbone = settle_backbone(session, body.backbone)
        request = AnalysisRequest(dataset=row.id, backbone=backbone, image_size=body.image_size)
        return analyses.request(session, request, attempts, created_by=caller.id, meta=body.metadata).id

    made = once.make(services, fingerprint_of([dataset, body.model_dump()]), make)
    if not made.replayed:
        services.notifier.notify(Queue.INTAKE)
    return made
