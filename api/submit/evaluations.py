"""Submission of evaluations. Knows no HTTP."""

from typing import Any, cast

from api.http.idempotency import Made, Once, fingerprint_of
from api.services import Services
from api.submit.admission import check_room, create
from db import registry
from db.clock import now
from db.curation import datasets
from db.jobs.requests import DatasetInput, EvaluationRequest
from db.models import ApiKey, Dataset, Model
from db.session import Session
from tsukiji.errors import BatchEmpty, KindMismatch, LabelsUnknown
from tsukiji.jobs import JobKind, Queue
from tsukiji.labels import split_labels
from tsukiji.types import EvaluationCreate, Kind


def start_evaluation(services: Services, caller: ApiKey, once: Once, body: EvaluationCreate) -> Made:
    """Queue the evaluation of a model on a data set.

    Raises:
        NotFound, QueueFull
        BatchEmpty: the data set has no labelled images.
        KindMismatch: data set and model are of different kinds.
        LabelsUnknown: the model does not know some of its labels.
    """

    def make(session: Session) -> str:
        check_room(session, services, JobKind.EVALUATION, caller)
        model, dataset = registry.find_model(session, body.model), datasets.find(session, body.dataset)
        check_labels(session, model, dataset, body.split)
        request = EvaluationRequest(
            model=model.id,
            model_name=model.name,
            kind=cast("Kind", model.kind),
            label_names=model.label_names,
            input=DatasetInput(type="dataset", dataset=dataset.id, split=body.split),
        )
        columns: dict[str, Any] = {"model_id": model.id, "dataset_id": dataset.id, "meta": body.metadata}
        columns["deadline_at"] = now(body.deadline_seconds or 3600 * services.settings.jobs.batch_hours)
        return create(session, services, caller, JobKind.EVALUATION, request, unit="images", **columns).id

    made = once.make(services, fingerprint_of(body.model_dump()), make)
    if not made.replayed:
        services.notifier.notify(Queue.INTAKE)
    return made


def check_labels(session: Session, model: Model, dataset: Dataset, split: str | None) -> None:
    """Refuse impossible evaluations early. The planner checks again, with the training's own splits."""
    if model.kind != dataset.kind:
        raise KindMismatch(
            f"The model {model.name!r} is {model.kind}, the data set {dataset.name!r} is {dataset.kind}."
        )
    texts = datasets.labels_in(session, dataset.id, split)
    labels = {label for text in texts for label in split_labels(text)}
    if not texts and split is None:
        raise BatchEmpty(f"The data set {dataset.name!r} has no labelled images.", hint="Label its images first.")
    if unknown := sorted(labels - set(model.label_names)):
        listed = ", ".join(repr(label) for label in unknown[:20])
        raise LabelsUnknown(f"The model {model.name!r} does not know these labels: {listed}.", labels=unknown)
