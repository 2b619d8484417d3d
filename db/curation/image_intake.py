"""Adding pictures to a data set, whatever their source.

In a `multi_label` data set, a picture that is added again under a new name (such as in another label's folder) adds its
labels to the image. Under a known name it adds nothing: repeating an import must not undo later edits. In other data
sets an image keeps its label; an image that never had one gets the new label. These changes are revisions, so they can
be undone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import quotas
from db.curation import datasets, revisions
from db.curation.datasets import NewImage
from db.labels import MULTI, set_text
from db.models import ApiKey, Dataset, Image, ImageName, Revision, RevisionChange
from tsukiji.errors import LabelRefused
from tsukiji.labels import split_labels

ACT: Final = "import"


@dataclass(frozen=True)
class IntakeOutcome:
    """The outcome for one picture.

    Attributes:
        image_id: its image.
        new: whether the image was inserted.
        label: the text of the image's labels now; in a `single_label` data set, the label it was added with.
        error: why its labels could not be added.
    """

    image_id: str
    new: bool
    label: str | None
    error: LabelRefused | None = None


def take_in(
    session: Session, dataset: Dataset, images: Sequence[NewImage], origin: str, author: ApiKey | None = None
) -> list[IntakeOutcome]:
    """Insert images, one per picture; returns the outcome of each, in order.

    Args:
        session: of the transaction.
        dataset: the data set to add to.
        images: decoded, with their bytes in the store.
        origin: description of the job or request; its changes share one revision where possible.
        author: the key that requested it; its quota counts the pictures.
    """
    if author is not None:
        quotas.count(session, quotas.quotas_of(author), len(images))
    if dataset.kind != MULTI:
        stored = datasets.add_images(session, dataset.id, images)
        again = [(image_id, image.label) for image, (image_id, new) in zip(images, stored, strict=True) if not new]
        fill_labels(
            session, dataset.id, {image_id: label for image_id, label in reversed(again) if label}, origin, author
        )
        return [IntakeOutcome(*row, label=image.label) for image, row in zip(images, stored, strict=True)]
    images, refused = united(images)
    more = brought(session, dataset.id, images)
    stored = datasets.add_images(session, dataset.id, images)
    too_many = add_labels(session, dataset.id, more, origin, author)
    labels = dict(revisions.facts(session, dataset.id, [row[0] for row in stored], Image.label.expression))
    return [
        IntakeOutcome(
            image_id, new, labels[image_id], None if new else too_many.get(image_id) or refused.get(image.sha256)
        )
        for image, (image_id, new) in zip(images, stored, strict=True)
    ]


def united(images: Sequence[NewImage]) -> tuple[list[NewImage], dict[str, LabelRefused]]:
    """Merge images of the same picture into one with all their labels; also returns errors by sha256."""
    labels: dict[str, set[str]] = {}
    for image in images:
        if image.label is not None:
            labels.setdefault(image.sha256, set()).update(split_labels(image.label))
    texts: dict[str, str] = {}
    refused: dict[str, LabelRefused] = {}
    for sha256, found in labels.items():
        try:
            texts[sha256] = set_text(found)
        except LabelRefused as error:
            refused[sha256] = error
    return [replace(image, label=texts.get(image.sha256, image.label)) for image in images], refused


def brought(session: Session, dataset_id: str, images: Sequence[NewImage]) -> dict[str, set[str]]:
    """Return labels to add to known images that were added again under another name, by image id."""
    known = datasets.known(session, dataset_id, sorted({image.sha256 for image in images}))
    names = {row.id: {row.name} for row in datasets.images_of(session, sorted(known.values()))}
    for part in revisions.parts(sorted(names)):
        for row in session.scalars(select(ImageName).where(ImageName.image_id.in_(part))):
            names[row.image_id].add(row.name)
    more: dict[str, set[str]] = {}
    for image in images:
        image_id = known.get(image.sha256)
        if image_id is not None and image.label is not None and image.name not in names[image_id]:
            more.setdefault(image_id, set()).update(split_labels(image.label))
    return more


def add_labels(
    session: Session, dataset_id: str, more: Mapping[str, set[str]], origin: str, author: ApiKey | None
) -> dict[str, LabelRefused]:
    """Add labels to images in a revision; returns, by image id, errors where there would be too many."""
    if not more:
        return {}
    datasets.lock(session, dataset_id)
    wanted: dict[str, str] = {}
    refused: dict[str, LabelRefused] = {}
    for image_id, text in revisions.facts(session, dataset_id, sorted(more), Image.label.expression):
        try:
            after = set_text(more[image_id].union([] if text is None else split_labels(text)))
        except LabelRefused as error:
            refused[image_id] = error
            continue
        if after != text:
            wanted[image_id] = after
    relabel(session, dataset_id, wanted, origin, author)
    return refused


def fill_labels(
    session: Session, dataset_id: str, labels: Mapping[str, str], origin: str, author: ApiKey | None
) -> None:
    """Set labels, by image id, on images that have none and whose label was never edited."""
    facts = revisions.facts(session, dataset_id, sorted(labels), Image.label.expression)
    bare = [image_id for image_id, label in facts if label is None]
    if not bare:
        return
    datasets.lock(session, dataset_id)
    decided: set[str] = set()
    query = select(RevisionChange.image_id).join(Revision, Revision.id == RevisionChange.revision_id)
    for part in revisions.parts(bare):
        decided.update(session.scalars(query.where(Revision.field == "label", RevisionChange.image_id.in_(part))))
    wanted = {image_id: labels[image_id] for image_id in bare if image_id not in decided}
    relabel(session, dataset_id, wanted, origin, author)


def relabel(session: Session, dataset_id: str, wanted: Mapping[str, str], origin: str, author: ApiKey | None) -> None:
    """Set labels in a revision, if there are any to set."""
    if wanted:
        revision = revision_of(session, dataset_id, origin, sorted(wanted), author)
        revisions.note_each(session, revision, wanted)
        revisions.apply(session, revision, sorted(wanted))


def revision_of(
    session: Session, dataset_id: str, origin: str, image_ids: Sequence[str], author: ApiKey | None
) -> Revision:
    """Return this origin's last revision if it changed none of these images, otherwise a new one."""
    description = f"labels of duplicate pictures ({origin})"
    mine = (Revision.dataset_id == dataset_id, Revision.act == ACT, Revision.description == description)
    query = select(Revision).where(*mine, Revision.undone_by.is_(None)).order_by(Revision.id.desc()).limit(1)
    if (last := session.scalar(query)) is not None:
        changed = select(RevisionChange.image_id).where(RevisionChange.revision_id == last.id)
        if not any(
            session.scalar(changed.where(RevisionChange.image_id.in_(part)).limit(1))
            for part in revisions.parts(image_ids)
        ):
            return last
    return revisions.begin(session, dataset_id, ACT, "label", description, author)
