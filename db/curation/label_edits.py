"""Edits of labels, in data sets of both kinds."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from db.curation import datasets, label_set_changes, revisions
from db.curation.image_selection import note_selected, selected
from db.labels import MULTI, text_of, too_many
from db.models import Dataset, Image, Revision
from tsukiji import types
from tsukiji.errors import Conflict, LabelRefused, NotFound
from tsukiji.labels import near_miss


def note(session: Session, dataset: Dataset, revision: Revision, act: types.Act) -> None:
    match act:
        case types.Relabel():
            note_selected(session, dataset, revision, act, text_of(dataset, act.label, act.labels))
        case types.AddLabels():
            for conditions in selected(session, dataset, act):
                label_set_changes.note_change(session, revision, label_set_changes.adding(act.labels), *conditions)
                first = text_of(dataset, None, act.labels)
                revisions.note_where(session, revision, first, Image.label.is_(None), *conditions)
        case types.RemoveLabels():
            for conditions in selected(session, dataset, act):
                label_set_changes.note_change(session, revision, label_set_changes.replacing(act.labels), *conditions)
        case types.MergeLabels():
            note_renamed(session, dataset, revision, act.labels, act.into)
        case types.RenameLabel():
            note_renamed(session, dataset, revision, [act.label], act.to)
        case types.DeleteLabel():
            note_renamed(session, dataset, revision, [act.label], None)
        case types.AcceptLabels():
            wanted = {pair.image: text_of(dataset, pair.label, pair.labels) for pair in act.labels}
            revisions.note_each(session, revision, wanted)


def note_renamed(
    session: Session, dataset: Dataset, revision: Revision, labels: Sequence[str], into: str | None
) -> None:
    """Record replacing any of these labels by another one, or by none."""
    if dataset.kind == MULTI:
        label_set_changes.note_change(
            session, revision, label_set_changes.replacing(labels, [] if into is None else [into])
        )
    else:
        revisions.note_where(session, revision, into, Image.label.in_(labels))


# --- checks ----------------------------------------------------------------------------------------------------------


def check(session: Session, dataset: Dataset, act: types.Act, most_labels: int) -> None:
    match act:
        case types.Relabel() | types.AcceptLabels():
            check_room(session, dataset.id, labels_given(act), most_labels)
        case types.AddLabels():
            check_kind(dataset, act)
            check_room(session, dataset.id, labels_given(act), most_labels)
        case types.RemoveLabels():
            check_kind(dataset, act)
            check_known(session, dataset.id, act.labels)
        case types.MergeLabels():
            check_known(session, dataset.id, act.labels)
        case types.DeleteLabel():
            check_known(session, dataset.id, [act.label])
        case types.RenameLabel():
            check_known(session, dataset.id, [act.label])
            check_free(session, dataset.id, act.to)


def labels_given(act: types.Act) -> set[str]:
    """Return the labels that an edit assigns."""
    match act:
        case types.Relabel():
            return named_by(act)
        case types.AcceptLabels():
            return set[str]().union(*map(named_by, act.labels))
        case types.AddLabels():
            return set(act.labels)
        case types.MergeLabels():
            return {act.into}
        case types.RenameLabel():
            return {act.to}
    return set()


def named_by(request: types.Relabel | types.LabelSuggestion) -> set[str]:
    """Return the labels to assign."""
    return {label for label in [request.label, *(request.labels or [])] if label is not None}


def check_kind(dataset: Dataset, act: types.AddLabels | types.RemoveLabels) -> None:
    """Raise LabelsSeveral if images have one label each: the caller wants `relabel`."""
    if dataset.kind != MULTI:
        raise too_many(dataset, f"`{act.act}` is for multi-label data sets")


def check_room(session: Session, dataset_id: str, labels: set[str], most_labels: int) -> None:
    if not labels:
        return
    present = datasets.labels_of(session, dataset_id)
    if labels - present and len(present | labels) > most_labels:
        raise LabelRefused(
            f"The data set would have {len(present | labels)} labels; at most {most_labels} are allowed."
        )


def check_known(session: Session, dataset_id: str, labels: Sequence[str]) -> None:
    present = datasets.labels_of(session, dataset_id)
    if unknown := [label for label in labels if label not in present]:
        raise NotFound(f"No image has the label {unknown[0]!r}.", hint=near_miss(unknown[0], present), labels=unknown)


def check_free(session: Session, dataset_id: str, label: str) -> None:
    if label in datasets.labels_of(session, dataset_id):
        raise Conflict(f"The label {label!r} already exists.", hint="Merge the two labels instead.")


# --- descriptions ----------------------------------------------------------------------------------------------------


def describe(act: types.Act) -> str:
    match act:
        case types.Relabel() if act.labels is not None:
            return f"label as {listed(act.labels) or 'none of the labels'}"
        case types.Relabel():
            return f"label as {act.label!r}" if act.label is not None else "remove the label"
        case types.AddLabels():
            return f"add {listed(act.labels)}"
        case types.RemoveLabels():
            return f"remove {listed(act.labels)}"
        case types.MergeLabels():
            return f"merge {listed(act.labels)} into {act.into!r}"
        case types.RenameLabel():
            return f"rename {act.label!r} to {act.to!r}"
        case types.DeleteLabel():
            return f"delete the label {act.label!r}"
    return "accept suggested labels"


def listed(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels))
