"""Revisions: every edit of a data set, with each image's previous value, so that it can be undone exactly.

An edit changes one field of any number of images in one transaction, with few statements. The changes are first
recorded as text, then applied to the images; an undo is a revision with the changes of another reversed. The data set's
row is locked meanwhile, so edits of one data set run one after another.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, CursorResult, String, case, func, insert, literal, select, type_coerce, update
from sqlalchemy.orm import Session

from db.boxes import read_box, write_box
from db.curation import datasets
from db.curation.open_findings import dismissed_kinds
from db.models import ApiKey, Image, Revision, RevisionChange
from db.paging import Rows, Window, fetch
from tsukiji.errors import ChangedSince, NotFound, RevisionUndone
from tsukiji.ids import new_id
from tsukiji.labels import is_set, split_labels

PART: Final = 500
FIELDS: Final[dict[str, ColumnElement[Any]]] = {
    "label": Image.label.expression,
    "split": Image.split.expression,
    "crop": type_coerce(Image.crop, String),
    "review": Image.review.expression,
    "dismissed": Image.dismissed.expression,
    "excluded": case((Image.excluded.is_(True), "true"), else_="false"),
}
"""The fields that an edit may change, with their stored text."""
COLUMNS: Final = ["revision_id", "image_id", "before", "after"]


def begin(
    session: Session,
    dataset_id: str,
    act: str,
    field: str,
    description: str,
    author: ApiKey | None = None,
    undoes: str | None = None,
) -> Revision:
    """Insert an empty revision; record its changes, then `apply` it."""
    datasets.lock(session, dataset_id)
    revision = Revision(
        id=new_id("rev"),
        dataset_id=dataset_id,
        act=act,
        field=field,
        description=description,
        created_by=author and author.id,
        author=author and author.name,
        undoes=undoes,
    )
    session.add(revision)
    session.flush()
    return revision


def note_where(session: Session, revision: Revision, value: Any, *conditions: ColumnElement[bool]) -> None:
    """Record this value for all images that meet the conditions, except those that have it already."""
    before, after = FIELDS[revision.field], write(value)
    wanted = (Image.dataset_id == revision.dataset_id, before.is_distinct_from(after), *conditions)
    changes = select(literal(revision.id), Image.id, before, literal(after, String)).where(*wanted)
    session.execute(insert(RevisionChange).from_select(COLUMNS, changes))


def note_mapped(
    session: Session, revision: Revision, values: Mapping[str, str], *conditions: ColumnElement[bool]
) -> None:
    """Record new values for all images that meet the conditions, by their present value."""
    before = FIELDS[revision.field]
    for part in parts(list(values)):
        after = case({value: values[value] for value in part}, value=before)
        wanted = (Image.dataset_id == revision.dataset_id, before.in_(part), *conditions)
        changes = select(literal(revision.id), Image.id, before, after).where(*wanted)
        session.execute(insert(RevisionChange).from_select(COLUMNS, changes))


def note_each(session: Session, revision: Revision, values: Mapping[str, Any]) -> None:
    """Record a value for each image, by id.

    Raises:
        NotFound: an image is not in the data set.
    """
    rows = []
    for row in facts(session, revision.dataset_id, list(values), FIELDS[revision.field]):
        after = write(values[row[0]])
        if row[1] != after:
            rows.append({"revision_id": revision.id, "image_id": row[0], "before": row[1], "after": after})
    if rows:
        # With RETURNING, SQLAlchemy sends many rows per statement, ten times as fast on PostgreSQL.
        session.execute(insert(RevisionChange).returning(RevisionChange.image_id), rows)


def note_made(session: Session, revision: Revision, image_ids: Iterable[str], undone: Any, value: Any) -> None:
    """Record images just created with this value, and the value that an undo will set."""
    known = {"revision_id": revision.id, "before": write(undone), "after": write(value)}
    rows = [known | {"image_id": image_id} for image_id in image_ids]
    session.execute(insert(RevisionChange), rows)
    revision.images = len(rows)


def apply(session: Session, revision: Revision, image_ids: Sequence[str] | None = None) -> None:
    """Apply recorded changes to the images: all of them, or the last ones for these images."""
    after = RevisionChange.after
    value = after == "true" if revision.field == "excluded" else after
    statement = update(Image).where(Image.id == RevisionChange.image_id, RevisionChange.revision_id == revision.id)
    if image_ids is not None:
        statement = statement.where(Image.id.in_(image_ids))
    done = session.execute(statement.values({revision.field: value}), execution_options={"synchronize_session": False})
    changed = cast("CursorResult[Any]", done).rowcount
    revision.images = changed if image_ids is None else revision.images + changed
    session.flush()


def undo(session: Session, dataset_id: str, revision_id: str, author: ApiKey | None = None) -> Revision:
    """Restore every image's value from before the revision. An undo is itself a revision, and can be undone.

    Deleted images are not restored.

    Raises:
        NotFound
        RevisionUndone: it was undone already.
        ChangedSince: some images were edited later; then nothing is undone.
    """
    datasets.lock(session, dataset_id)
    revision = find(session, dataset_id, revision_id)
    if revision.undone_by is not None:
        raise RevisionUndone(f"It was undone by {revision.undone_by}.", undone_by=revision.undone_by)
    check_unchanged(session, revision)
    description = f"undo {revision.id}: {revision.description}"
    made = begin(session, dataset_id, "undo", revision.field, description, author, undoes=revision.id)
    turned = select(literal(made.id), RevisionChange.image_id, RevisionChange.after, RevisionChange.before)
    turned = turned.where(RevisionChange.revision_id == revision.id)
    session.execute(insert(RevisionChange).from_select(COLUMNS, turned))
    apply(session, made)
    revision.undone_by = made.id
    session.flush()
    return made


def check_unchanged(session: Session, revision: Revision) -> None:
    """Raise ChangedSince, naming the last editor, if images differ from what the revision wrote."""
    differs = FIELDS[revision.field].is_distinct_from(RevisionChange.after)
    mine = RevisionChange.revision_id == revision.id
    changed = select(Image.id).join(RevisionChange, RevisionChange.image_id == Image.id).where(mine, differs)
    count = session.scalar(select(func.count()).select_from(changed.subquery()))
    if not count:
        return
    later = select(Revision.id).join(RevisionChange, RevisionChange.revision_id == Revision.id)
    later = later.where(Revision.field == revision.field, RevisionChange.image_id.in_(changed))
    last = session.scalar(later.order_by(Revision.id.desc()).limit(1))
    raise ChangedSince(
        f"{last} has changed {revision.field} of {count} of its images since.", revision=last, images=count
    )


def find(session: Session, dataset_id: str, revision_id: str) -> Revision:
    """Return the revision.

    Raises:
        NotFound
    """
    query = select(Revision).where(Revision.dataset_id == dataset_id, Revision.id == revision_id)
    revision = session.scalar(query, execution_options={"populate_existing": True})
    if revision is None:
        raise NotFound(f"The data set has no revision {revision_id!r}.")
    return revision


def page(session: Session, dataset_id: str, window: Window) -> Rows[Revision]:
    """Newest first."""
    query = select(Revision).where(Revision.dataset_id == dataset_id)
    return fetch(session, query, Revision.id, window, newest=True)


def page_changes(session: Session, revision_id: str, window: Window) -> Rows[RevisionChange]:
    query = select(RevisionChange).where(RevisionChange.revision_id == revision_id)
    return fetch(session, query, RevisionChange.image_id, window)


def page_of_image(session: Session, image_id: str, window: Window) -> Rows[tuple[Revision, RevisionChange]]:
    """Return the revisions that changed an image, newest first, each with what it changed of it."""
    mine = RevisionChange.image_id == image_id
    query = select(Revision).where(Revision.id.in_(select(RevisionChange.revision_id).where(mine)))
    found = fetch(session, query, Revision.id, window, newest=True)
    changes = select(RevisionChange).where(mine, RevisionChange.revision_id.in_([row.id for row in found.data]))
    by_revision = {change.revision_id: change for change in session.scalars(changes)}
    return Rows([(row, by_revision[row.id]) for row in found.data], found.next_cursor)


def facts(
    session: Session, dataset_id: str, image_ids: Sequence[str], *columns: ColumnElement[Any]
) -> Iterator[tuple[Any, ...]]:
    """Yield id and columns of each of these images.

    Raises:
        NotFound: an image is not in the data set.
    """
    for part in parts(list(dict.fromkeys(image_ids))):
        # By id alone: with a condition on the data set, SQLite would scan all of its images.
        rows = session.execute(select(Image.dataset_id, Image.id, *columns).where(Image.id.in_(part)))
        found = [tuple(row[1:]) for row in rows if row[0] == dataset_id]
        if len(found) < len(part):
            missing = sorted(set(part) - {row[0] for row in found})
            raise NotFound(f"The data set has no image {missing[0]!r}.", images=missing)
        yield from found


def parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield slices as long as one statement may have parameters."""
    for start in range(0, len(values), PART):
        yield values[start : start + PART]


def write(value: Any) -> str | None:
    """Return a field's value as stored text."""
    match value:
        case bool():
            return "true" if value else "false"
        case tuple():
            return write_box(value)
    return cast("str | None", value)


def read(field: str, text: str | None) -> Any:
    """Return a field's value from its stored text."""
    if field == "excluded":
        return text == "true"
    if field == "dismissed":
        return dismissed_kinds(text)
    if field == "label" and text is not None and is_set(text):
        return split_labels(text)
    return read_box(text) if field == "crop" and text is not None else text
