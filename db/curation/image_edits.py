"""Edits of a data set's images. Each is a revision, which `db.curation.revisions` can undo."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from db.curation import datasets, label_edits, revisions
from db.curation.image_selection import note_selected, selected
from db.curation.open_findings import dismissing
from db.models import ApiKey, Dataset, Image, Revision
from tsukiji import types
from tsukiji.errors import CropOutside
from tsukiji.types import Box, ImageSelection


def carry_out(
    session: Session, dataset_id: str, act: types.Act, author: ApiKey | None = None, *, most_labels: int
) -> Revision:
    """Apply an edit, all or nothing; returns the revision.

    Args:
        session: of the transaction.
        dataset_id: the data set.
        act: the edit.
        author: the key that requested it.
        most_labels: limit of labels per data set.

    Raises:
        NotFound: an image or label does not exist.
        Conflict: the new name of a label is taken.
        CropOutside, LabelRefused
        LabelsSeveral: the data set has one label per image.
    """
    datasets.lock(session, dataset_id)
    dataset = session.get_one(Dataset, dataset_id)
    check(session, dataset, act, most_labels)
    revision = revisions.begin(session, dataset.id, act.act, field_of(act), describe(act), author)
    note(session, dataset, revision, act)
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
        case types.Dismiss():
            return "dismissed"
    return "label"


def note(session: Session, dataset: Dataset, revision: Revision, act: types.Act) -> None:
    match act:
        case types.AcceptCrops():
            revisions.note_each(session, revision, {pair.image: pair.crop for pair in act.crops})
        case types.KeepBest():
            revisions.note_each(session, revision, dict.fromkeys(left_out(act.groups), True))
        case types.ReviewImages():
            note_selected(session, dataset, revision, act, act.review, Image.review.is_not(None))
        case types.Dismiss():
            note_dismissed(session, dataset, revision, act)
        case types.SetSplit() | types.SetCrop() | types.Exclude() | types.Restore():
            note_selected(session, dataset, revision, act, value_of(act))
        case _:
            label_edits.note(session, dataset, revision, act)


def value_of(act: types.Exclude | types.Restore | types.SetSplit | types.SetCrop) -> Any:
    match act:
        case types.SetSplit():
            return act.split
        case types.SetCrop():
            return act.crop
    return isinstance(act, types.Exclude)


def note_dismissed(session: Session, dataset: Dataset, revision: Revision, act: types.Dismiss) -> None:
    query = select(Image.id, Image.label, Image.dismissed).where(Image.dataset_id == dataset.id)
    for conditions in selected(session, dataset, act):
        rows = session.execute(query.where(*conditions)).all()
        revisions.note_each(
            session, revision, {row.id: dismissing(row.dismissed, row.label, act.findings) for row in rows}
        )


def left_out(groups: Sequence[types.ImageGroup]) -> list[str]:
    """Return the images that no group keeps."""
    kept = {group.keep for group in groups}
    return [image_id for image_id in dict.fromkeys(i for group in groups for i in group.images) if image_id not in kept]


# --- checks ----------------------------------------------------------------------------------------------------------


def check(session: Session, dataset: Dataset, act: types.Act, most_labels: int) -> None:
    if isinstance(act, ImageSelection) and act.filter and act.filter.label is not None:
        label_edits.check_known(session, dataset.id, [act.filter.label])
    match act:
        case types.SetCrop(crop=tuple() as box):
            for conditions in selected(session, dataset, act):
                check_fits(session, dataset.id, box, conditions)
        case types.AcceptCrops():
            check_fit(session, dataset.id, {pair.image: pair.crop for pair in act.crops})
        case _ if field_of(act) == "label":
            label_edits.check(session, dataset, act, most_labels)


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
    return CropOutside(
        f"The box {list(box)} extends beyond {image_id}, which has {width} x {height} pixels.", image=image_id
    )


# --- descriptions ----------------------------------------------------------------------------------------------------


def describe(act: types.Act) -> str:
    """Return a one-line description of the edit, for the history."""
    match act:
        case types.AcceptCrops():
            done = "accept suggested crops"
        case types.KeepBest():
            done = f"keep the best of {len(act.groups)} groups"
        case types.SetSplit():
            done = f"set the split {act.split}" if act.split else "unset the split"
        case types.SetCrop():
            done = f"crop to {list(act.crop)}" if act.crop else "remove the crop"
        case types.ReviewImages():
            done = f"review: {act.review}"
        case types.Dismiss():
            done = f"dismiss {', '.join(act.findings)}"
        case types.Exclude() | types.Restore():
            done = act.act
        case _:
            done = label_edits.describe(act)
    return f"{done}: {describe_filter(act)}" if isinstance(act, ImageSelection) and act.filter else done


def describe_filter(selection: ImageSelection) -> str:
    wanted = selection.filter.model_dump(exclude_defaults=True) if selection.filter else {}
    which = ", ".join(describe_member(name, value) for name, value in wanted.items()) or "all images"
    return f"{which}, but {len(set(selection.except_))}" if selection.except_ else which


def describe_member(name: str, value: Any) -> str:
    match name, value:
        case "label", _:
            return f"those labelled {value!r}"
        case "unlabelled", _:
            return "without a label"
        case "none_of_these", _:
            return "with none of the labels"
        case "split", "unassigned":
            return "in no split"
        case "split", _:
            return f"in the split {value}"
        case "excluded", _:
            return "excluded ones" if value else "not excluded"
        case "review", _:
            return f"corrections, {value}"
        case "finding", _:
            return f"found: {value.replace('_', ' ')}"
    return f"the pile {value.removeprefix('label:')!r}"
