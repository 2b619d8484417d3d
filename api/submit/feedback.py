"""Corrected predictions become labelled images of a data set, pending review. Knows no HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass

from api import result_items
from api.http.errors import invalid_field
from api.result_items import ResultItem
from api.services import Services
from db import stored_results
from db.curation import datasets, label_edits, revisions
from db.curation.datasets import NewImage
from db.jobs import guarantees, jobs
from db.jobs.requests import BatchRequest
from db.labels import text_of
from db.models import ApiKey, Job, Model
from db.predictions import results
from db.session import Session
from tsukiji.errors import Conflict, TsukijiError
from tsukiji.jobs import JobKind
from tsukiji.labels import count_labels, label_members
from tsukiji.types import Correction, Feedback, FeedbackCreate, FeedbackItem, Problem
from tsukiji.vision.decoding.decode import probe

KINDS = frozenset({JobKind.BATCH, JobKind.PREDICTION})


@dataclass(frozen=True)
class Corrected:
    """An item with its correct label, and the picture to store or the error."""

    item: ResultItem
    label: str | None
    found: NewImage | Problem

    def answer(self, image_id: str | None = None, label: str | None = None, *, new: bool = False) -> FeedbackItem:
        error = self.found if isinstance(self.found, Problem) else None
        return FeedbackItem(
            seq=self.item.item.seq,
            custom_id=self.item.item.custom_id,
            verdict="rejected" if error else "accepted" if new else "duplicate",
            **label_members(label),
            image_id=image_id,
            error=error,
        )


def take_feedback(services: Services, caller: ApiKey, job_id: str, body: FeedbackCreate) -> Feedback:
    """Store the pictures of corrected predictions as images pending review.

    A picture that the data set holds already is unchanged, and reported as such.

    Raises:
        NotFound, Conflict, ResultsDeleted, LabelRefused, LabelsSeveral
        Invalid: an item does not exist, or is repeated; or no data set is known.
    """
    with services.database.reading() as session:
        job = find_job(session, job_id)
        dataset = datasets.find(session, body.dataset or own_dataset(session, job))
        dataset_id = dataset.id
        items = named_items(services, session, job, body.corrections)
        labels = [text_of(dataset, right.label, right.labels) for right in body.corrections]
        promised = BatchRequest.of(job).target_error is not None
        seqs = [each.item.seq for each in items] if promised else []
        decided = stored_results.decisions(session, services.files, job, seqs)
    corrected = [look(services, item, label) for item, label in zip(items, labels, strict=True)]
    with services.database.transaction() as session:
        told = {one.item.item.seq: one.label for one in corrected if one.label is not None}
        right = {seq: label == told[seq] for seq, (_, label) in decided.items() if seq in told}
        guarantees.note_answers(session, job, right)
        return keep(session, services, caller, datasets.find(session, dataset_id).id, job, corrected)


def find_job(session: Session, job_id: str) -> Job:
    job = jobs.find(session, job_id)
    if job.kind not in KINDS:
        raise Conflict(f"The {job.kind} {job.id} has no predictions.", hint="Name a batch or a prediction.")
    results.check_kept(job)
    return job


def own_dataset(session: Session, job: Job) -> str:
    """Return the data set that the job's model was trained on."""
    model = session.get(Model, BatchRequest.of(job).model)
    if model is None or model.dataset_id is None:
        raise invalid_field("#/dataset", "the model has no data set here; give `dataset`")
    return model.dataset_id


def named_items(services: Services, session: Session, job: Job, corrections: Sequence[Correction]) -> list[ResultItem]:
    """Return an item for each correction.

    Raises:
        Invalid
    """
    found = result_items.find_named(
        services,
        session,
        job,
        [body.seq for body in corrections if body.seq is not None],
        [body.custom_id for body in corrections if body.custom_id is not None],
    )
    numbered: dict[int | str, ResultItem] = {each.item.seq: each for each in found}
    known = numbered | {each.item.custom_id: each for each in found}
    items: list[ResultItem] = []
    for number, body in enumerate(corrections):
        name: int | str = body.seq if body.seq is not None else body.custom_id or ""
        if name not in known:
            raise invalid_field(f"#/corrections/{number}", f"{job.id} has no image {name!r}")
        if known[name] in items:
            raise invalid_field(f"#/corrections/{number}", f"duplicate corrections of the image {name!r}")
        items.append(known[name])
    return items


def look(services: Services, named: ResultItem, label: str | None) -> Corrected:
    """Read a picture, and store it: results in parts are of pictures elsewhere."""
    item = named.item
    if item.sha256 is None:
        return Corrected(named, label, Problem.model_validate(item.error))
    try:
        data = named.read()
        facts = probe(data, services.decode_limits)
        services.store.put(data)
    except TsukijiError as error:
        if error.retriable:
            raise
        return Corrected(named, label, Problem.model_validate(error.to_dict()))
    image = NewImage(
        name=item.custom_id,
        label=label,
        split=None,
        sha256=item.sha256,
        width=facts.width,
        height=facts.height,
        bytes=len(data),
        format=facts.format,
        phash=facts.phash,
        miniature=facts.miniature,
        crop=item.crop,
        review="pending",
    )
    return Corrected(named, label, image)


def keep(
    session: Session, services: Services, caller: ApiKey, dataset_id: str, job: Job, corrected: list[Corrected]
) -> Feedback:
    """Insert the images and the revision; returns the outcome of each."""
    asked = set(count_labels((one.label, 1) for one in corrected))
    label_edits.check_room(session, dataset_id, asked, services.settings.limits.dataset_classes)
    good = [one.found for one in corrected if isinstance(one.found, NewImage)]
    stored = iter(datasets.add_images(session, dataset_id, good))
    settled = [(one, next(stored) if isinstance(one.found, NewImage) else None) for one in corrected]
    new = [place[0] for _, place in settled if place and place[1]]
    revision = note(session, caller, dataset_id, job, new) if new else None
    labels = {
        image.id: image.label for image in datasets.images_of(session, [place[0] for _, place in settled if place])
    }
    items = [one.answer(place[0], labels[place[0]], new=place[1]) if place else one.answer() for one, place in settled]
    verdicts = [item.verdict for item in items]
    return Feedback(
        dataset_id=dataset_id,
        revision_id=revision,
        accepted=verdicts.count("accepted"),
        duplicates=verdicts.count("duplicate"),
        rejected=verdicts.count("rejected"),
        items=items,
    )


def note(session: Session, caller: ApiKey, dataset_id: str, job: Job, image_ids: list[str]) -> str:
    """Write the revision; its undo rejects the images, because only deletion removes pictures."""
    description = f"corrected predictions of {job.id}"
    revision = revisions.begin(session, dataset_id, "feedback", "review", description, caller)
    revisions.note_made(session, revision, image_ids, undone="rejected", value="pending")
    return revision.id
