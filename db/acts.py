"""What a user asks to be done with a data set's images. Each act is a revision, which `db.revisions` can undo."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from db import datasets, revisions
from db.models import ApiKey, Image, Revision
from db.selection import chosen
from tsukiji import types
from tsukiji.errors import Conflict, CropOutside, LabelRefused, NotFound
from tsukiji.types import Box, ImageSelection


def carry_out(
    session: Session, dataset_id: str, act: types.Act, author: ApiKey | None = None, *, most_labels: int
) -> Revision:
    """Do what is asked for, all or nothing; returns the revision.

    Args:
        session: of the transaction.
        dataset_id: whose images.
        act: what to do.
        author: the key that asks.
        most_labels: that a data set may have.

    Raises:
        NotFound: an image or label is not there.
        Conflict: the new name of a label is taken.
        CropOutside, LabelRefused
    """
    datasets.lock(session, dataset_id)
    check(session, dataset_id, act, most_labels)
    revision = revisions.begin(session, dataset_id, act.act, field_of(act), describe(act), author)
    note(session, revision, act)
    revisions.apply(session, revision)
    return revision


def field_of(act: types.Act) -> str:
    match act:
        case types.Exclude() | types.Restore() | types.KeepBest():
            return "excluded"
        case types.SetSplit():
            return "split"
        case types.SetCrop() | types.AcceptCrops():
            return "crop"
        case types.ReviewImages():
            return "review"
    return "label"


def note(session: Session, revision: Revision, act: types.Act) -> None:
    match act:
        case types.MergeLabels():
            revisions.note_where(session, revision, act.into, Image.label.in_(act.labels))
        case types.RenameLabel():
            revisions.note_where(session, revision, act.to, Image.label == act.label)
        case types.DeleteLabel():
            revisions.note_where(session, revision, None, Image.label == act.label)
        case types.AcceptLabels():
            revisions.note_each(session, revision, {pair.image: pair.label for pair in act.labels})
        case types.AcceptCrops():
            revisions.note_each(session, revision, {pair.image: pair.crop for pair in act.crops})
        case types.KeepBest():
            revisions.note_each(session, revision, dict.fromkeys(left_out(act.groups), True))
        case types.ReviewImages():
            note_selected(session, revision, act, act.review, Image.review.is_not(None))
        case _:
            note_selected(session, revision, act, value_of(act))


def value_of(act: types.Relabel | types.Exclude | types.Restore | types.SetSplit | types.SetCrop) -> Any:
    match act:
        case types.Relabel():
            return act.label
        case types.SetSplit():
            return act.split
        case types.SetCrop():
            return act.crop
    return isinstance(act, types.Exclude)


def note_selected(
    session: Session, revision: Revision, selection: ImageSelection, value: Any, *more: ColumnElement[bool]
) -> None:
    """Note one value for all images of a selection.

    Raises:
        NotFound: one that is named is not in the data set.
    """
    for conditions in selected(session, revision.dataset_id, selection):
        revisions.note_where(session, revision, value, *conditions, *more)


def selected(session: Session, dataset_id: str, selection: ImageSelection) -> list[Sequence[ColumnElement[bool]]]:
    """Return conditions that together, each by itself, take in the selection.

    Raises:
        NotFound: one that is named is not in the data set.
    """
    if selection.filter is not None:
        return [chosen(selection.filter)]
    ids = list(dict.fromkeys(selection.images or []))
    list(revisions.facts(session, dataset_id, ids))
    return [[Image.id.in_(part)] for part in revisions.parts(ids)]


def left_out(groups: Sequence[types.ImageGroup]) -> list[str]:
    """Return the images that no group keeps."""
    kept = {group.keep for group in groups}
    return [image_id for image_id in dict.fromkeys(i for group in groups for i in group.images) if image_id not in kept]


# --- what is refused -------------------------------------------------------------------------------------------------


def check(session: Session, dataset_id: str, act: types.Act, most_labels: int) -> None:
    match act:
        case types.Relabel(label=str() as label):
            check_room(session, dataset_id, {label}, most_labels)
        case types.AcceptLabels():
            check_room(session, dataset_id, {pair.label for pair in act.labels}, most_labels)
        case types.MergeLabels():
            check_known(session, dataset_id, act.labels)
        case types.DeleteLabel():
            check_known(session, dataset_id, [act.label])
        case types.RenameLabel():
            check_known(session, dataset_id, [act.label])
            check_free(session, dataset_id, act.to)
        case types.SetCrop(crop=tuple() as box):
            for conditions in selected(session, dataset_id, act):
                check_fits(session, dataset_id, box, conditions)
        case types.AcceptCrops():
            check_fit(session, dataset_id, {pair.image: pair.crop for pair in act.crops})


def labels_of(session: Session, dataset_id: str) -> set[str]:
    return {label for label, _ in datasets.count_labels(session, [dataset_id])[dataset_id] if label is not None}


def check_room(session: Session, dataset_id: str, labels: set[str], most_labels: int) -> None:
    present = labels_of(session, dataset_id)
    if labels - present and len(present | labels) > most_labels:
        raise LabelRefused(
            f"The data set would have {len(present | labels)} labels; at most {most_labels} are allowed."
        )


def check_known(session: Session, dataset_id: str, labels: Sequence[str]) -> None:
    present = labels_of(session, dataset_id)
    if unknown := [label for label in labels if label not in present]:
        raise NotFound(f"No image has the label {unknown[0]!r}.", labels=unknown)


def check_free(session: Session, dataset_id: str, label: str) -> None:
    if label in labels_of(session, dataset_id):
        raise Conflict(f"There are images with the label {label!r} already.", hint="Merge the two labels instead.")


def check_fits(session: Session, dataset_id: str, box: Box, conditions: Sequence[ColumnElement[bool]]) -> None:
    outside = or_(Image.width < box[2], Image.height < box[3])
    query = select(Image.id, Image.width, Image.height).where(Image.dataset_id == dataset_id, outside, *conditions)
    if found := session.execute(query.limit(1)).first():
        raise outside_of(box, *found)


def check_fit(session: Session, dataset_id: str, boxes: dict[str, Box]) -> None:
    rows = revisions.facts(session, dataset_id, list(boxes), Image.width.expression, Image.height.expression)
    for image_id, width, height in rows:
        if width < boxes[image_id][2] or height < boxes[image_id][3]:
            raise outside_of(boxes[image_id], image_id, width, height)


def outside_of(box: Box, image_id: str, width: int, height: int) -> CropOutside:
    return CropOutside(f"The box {list(box)} leaves {image_id}, which has {width} x {height} pixels.", image=image_id)


# --- in words --------------------------------------------------------------------------------------------------------


def describe(act: types.Act) -> str:
    """Say in a line what is done, for who reads the history."""
    match act:
        case types.MergeLabels():
            return f"merge {', '.join(map(repr, act.labels))} into {act.into!r}"
        case types.RenameLabel():
            return f"rename {act.label!r} to {act.to!r}"
        case types.DeleteLabel():
            return f"delete the label {act.label!r}"
        case types.AcceptLabels():
            return "accept suggested labels"
        case types.AcceptCrops():
            return "accept suggested crops"
        case types.KeepBest():
            return f"keep the best of {len(act.groups)} groups"
    return f"{describe_selected(act)} ({describe_filter(act)})"


def describe_selected(act: types.Act) -> str:
    match act:
        case types.Relabel():
            return f"relabel as {act.label!r}" if act.label is not None else "take the label away"
        case types.SetSplit():
            return f"set the split {act.split}" if act.split else "unset the split"
        case types.SetCrop():
            return f"crop to {list(act.crop)}" if act.crop else "take the crop away"
        case types.ReviewImages():
            return f"review: {act.review}"
    return act.act


def describe_filter(selection: ImageSelection) -> str:
    if selection.filter is None:
        return "named images"
    wanted = selection.filter.model_dump(exclude_defaults=True)
    return ", ".join(f"{name} is {value!r}" for name, value in wanted.items()) or "all images"
