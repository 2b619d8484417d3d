"""Submission of suggestions. Knows no HTTP."""

from api.http.idempotency import Made, Once, fingerprint_of
from api.services import Services
from api.submit.admission import check_room
from api.submit.backbones import settle_backbone
from db.curation import datasets, suggestions
from db.jobs.requests import SuggestionRequest
from db.labels import MULTI
from db.models import ApiKey
from db.session import Session
from tsukiji.errors import DatasetTooSmall, Invalid
from tsukiji.jobs import JobKind, Queue
from tsukiji.types import SuggestionCreate


def start_suggestion(services: Services, caller: ApiKey, once: Once, dataset: str, body: SuggestionCreate) -> Made:
    """Queue a round of suggestions, unless one like it waits already.

    Raises:
        NotFound, QueueFull
        Invalid: the images of the data set may have several labels.
        DatasetTooSmall: it has no image in use.
    """

    def make(session: Session) -> str:
        row = datasets.find(session, dataset)
        if row.kind == MULTI:
            raise Invalid(
                f"The data set {row.name!r} is multi_label, and a pile is for one label.",
                hint="Label some images, train a model, and evaluate it: its suspects say which labels it misses. "
                "Findings of the kind `label_next` say what to label first.",
            )
        if not suggestions.count_images(session, row.id):
            raise DatasetTooSmall(f"The data set {row.name!r} has no images in use.", hint="Add images first.")
        check_room(session, services, JobKind.SUGGESTION, caller)
        attempts = services.settings.jobs.max_attempts
        backbone = settle_backbone(session, body.backbone)
        request = SuggestionRequest(dataset=row.id, backbone=backbone, image_size=body.image_size)
        return suggestions.request(session, request, attempts, created_by=caller.id, meta=body.metadata).id

    made = once.make(services, fingerprint_of([dataset, body.model_dump()]), make)
    if not made.replayed:
        services.notifier.notify(Queue.INTAKE)
    return made
