"""Submission of analyses and suggestions: work on the features of a data set's images. Knows no HTTP."""

from api.http.idempotency import Made, Once, fingerprint_of
from api.services import Services
from api.submit.admission import check_room
from api.submit.backbones import settle_backbone
from db.curation import datasets, suggestions
from db.jobs import jobs
from db.jobs.requests import FeaturesRequest
from db.labels import MULTI
from db.models import ApiKey, Dataset
from db.session import Session
from tsukiji.errors import DatasetTooSmall, Invalid
from tsukiji.jobs import JobKind, Queue
from tsukiji.types import AnalysisCreate, SuggestionCreate
from tsukiji.types.analyses import FeaturesCreate


def start_analysis(services: Services, caller: ApiKey, once: Once, dataset: str, body: AnalysisCreate) -> Made:
    """Queue an analysis, unless an equal one is queued.

    Raises:
        NotFound, QueueFull
    """
    return _start(services, caller, once, dataset, body, JobKind.ANALYSIS)


def start_suggestion(services: Services, caller: ApiKey, once: Once, dataset: str, body: SuggestionCreate) -> Made:
    """Queue a round of suggestions, unless an equal one is queued.

    Raises:
        NotFound, QueueFull
        Invalid: the images of the data set may have several labels.
        DatasetTooSmall: it has no image in use.
    """
    return _start(services, caller, once, dataset, body, JobKind.SUGGESTION)


def _start(
    services: Services,
    caller: ApiKey,
    once: Once,
    dataset: str,
    body: FeaturesCreate,
    kind: JobKind,
) -> Made:
    def make(session: Session) -> str:
        row = datasets.find(session, dataset)
        if kind == JobKind.SUGGESTION:
            _check_sortable(session, row)
        check_room(session, services, kind, caller)
        backbone = settle_backbone(session, body.backbone)
        request = FeaturesRequest(dataset=row.id, backbone=backbone, image_size=body.image_size)
        attempts = services.settings.jobs.max_attempts
        return jobs.create_once(session, kind, request, attempts, created_by=caller.id, meta=body.metadata).id

    made = once.make(services, fingerprint_of([dataset, body.model_dump()]), make)
    if not made.replayed:
        services.notifier.notify(Queue.INTAKE)
    return made


def _check_sortable(session: Session, row: Dataset) -> None:
    if row.kind == MULTI:
        raise Invalid(
            f"The data set {row.name!r} is multi_label, and a pile is for one label.",
            hint="Label some images, train a model, and evaluate it: its suspects say which labels it misses. "
            "Findings of the kind `label_next` say what to label first.",
        )
    if not suggestions.count_images(session, row.id):
        raise DatasetTooSmall(f"The data set {row.name!r} has no images in use.", hint="Add images first.")
