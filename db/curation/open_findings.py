"""Which findings are still open: nothing that they ask for was done, and no person dismissed them.

Nothing is marked as done: what an image is now decides, so an undo opens its findings again.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import ColumnElement, String, and_, case, cast, exists, func, literal, or_, true
from sqlalchemy.orm import aliased

from db.labels import place_of
from db.models import Finding, Image
from tsukiji.errors import Conflict
from tsukiji.labels import MAX_SET_BYTES

LINE: Final = "\n"
"""Around each entry of what is kept of dismissals; no label can hold it."""
LABEL_KINDS: Final = ("suspected_label", "conflicting_labels")
"""These are about an image's label: another label settles them, and makes a dismissal void."""
GROUP_KINDS: Final = ("near_duplicates", "leaky_splits", "conflicting_labels")


def is_open() -> ColumnElement[bool]:
    """Return the condition on a finding and its image."""
    entry = literal(LINE, String) + Finding.kind + "=" + about() + LINE
    return and_(
        Image.excluded.is_(False),
        or_(Image.dismissed.is_(None), place_of(Image.dismissed, entry) == 0),
        or_(Finding.kind != "suspected_label", ~Image.label.is_distinct_from(Finding.label)),
        or_(Finding.kind != "label_next", Image.label.is_(None)),
        or_(Finding.kind != "crop", Image.crop.is_(None)),
        case((Finding.kind.in_(GROUP_KINDS), has_others()), else_=true()),
    )


def about() -> ColumnElement[str]:
    label = func.coalesce(Image.label, "")
    return case((Finding.kind.in_(LABEL_KINDS), cast(label, String)), else_="")


def has_others() -> ColumnElement[bool]:
    """Return whether another image of the group is in use that differs in what the finding is about.

    Where a picture came under two labels it has no group: another label settles that.
    """
    finding, image = aliased(Finding), aliased(Image)
    split, other = (func.coalesce(row.split, row.drawn_split) for row in (Image, image))
    differs = case(
        (Finding.kind == "leaky_splits", split != other),
        (Finding.kind == "conflicting_labels", Image.label != image.label),
        else_=true(),
    )
    found = exists().where(
        finding.dataset_id == Finding.dataset_id,
        finding.kind == Finding.kind,
        finding.score == Finding.score,  # of a group all have one: with it the index finds them
        finding.group_id == Finding.group_id,
        finding.image_id != Finding.image_id,
        image.id == finding.image_id,
        image.excluded.is_(False),
        differs,
    )
    return case((Finding.group_id == "", ~Image.label.is_distinct_from(Finding.label)), else_=found)


def dismissing(text: str | None, label: str | None, kinds: Iterable[str]) -> str:
    """Return what is kept of an image whose findings are dismissed: kinds, and the label for which they were.

    Args:
        text: what is kept so far.
        label: of the image, or the text of its set.
        kinds: of the findings that are dismissed now.

    Raises:
        Conflict: there is no room for it, as the labels are too long.
    """
    entries = read_entries(text) | {kind: label or "" if kind in LABEL_KINDS else "" for kind in kinds}
    written = LINE + "".join(f"{kind}={label}{LINE}" for kind, label in sorted(entries.items()))
    if len(written.encode()) > MAX_SET_BYTES:
        raise Conflict("The labels are too long for this to be kept.", hint="Shorten the labels.")
    return written


def read_entries(text: str | None) -> dict[str, str]:
    """Return the label, or the empty text, by kind."""
    return dict(line.split("=", 1) for line in (text or "").split(LINE) if line)


def dismissed_kinds(text: str | None) -> list[str]:
    return sorted(read_entries(text))
