"""`tsukiji datasets fix`, `log` and `images`: acts on the images of a data set, what was done, and what is there."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from tsukiji import types
from tsukiji.cli.options import DatasetName, Limit, check_label
from tsukiji.cli.output import FITS, AsJson, labels_of, note, print_fields, print_json, print_records, suggest
from tsukiji.cli.printed import STDIN, read_groups, read_labels
from tsukiji.client import Client, Dataset
from tsukiji.client._sync._curation import Chosen

Edit = tuple[object, Callable[[Dataset], types.Revision]]
"""Whether an edit was requested, and the call that makes it."""

COLUMNS: Final[dict[str, Callable[[types.Revision], Any]]] = {
    "id": lambda revision: revision.id,
    "when": lambda revision: revision.created_at,
    "author": lambda revision: revision.author,
    "what": lambda revision: revision.description,
    "images": lambda revision: revision.images,
    "undone by": lambda revision: revision.undone_by,
}
IMAGE_COLUMNS: Final[dict[str, Callable[[types.Image], Any]]] = {
    "id": lambda image: image.id,
    "name": lambda image: image.name,
    "label": lambda image: labels_of(image.label, image.labels),
    "split": lambda image: image.split,
    "excluded": lambda image: image.excluded,
    "crop": lambda image: list(image.crop) if image.crop else None,
    "review": lambda image: image.review,
}
IMAGE_ID: Final = re.compile(r"img_\w+")
NONE: Final = "none"
SPLITS: Final[dict[str, types.Split | None]] = {"train": "train", "valid": "valid", "test": "test", NONE: None}
WHICH: Final = "Which images"
RELABELS: Final = "Labels of the whole data set"

Label = Annotated[str | None, typer.Option("--label", help="With this label.", rich_help_panel=WHICH)]
Unlabelled = Annotated[bool, typer.Option("--unlabelled", help="Without a label.", rich_help_panel=WHICH)]
NoneOfThese = Annotated[
    bool, typer.Option("--none-of-these", help="Marked as showing none of the labels.", rich_help_panel=WHICH)
]
InSplit = Annotated[
    Literal["train", "valid", "test", "unassigned"] | None,
    typer.Option("--split", help="Assigned to this split.", rich_help_panel=WHICH),
]
Excluded = Annotated[
    bool | None, typer.Option("--excluded/--not-excluded", help="Excluded, or not.", rich_help_panel=WHICH)
]
InReview = Annotated[
    Literal["pending", "accepted", "rejected"] | None,
    typer.Option(
        "--review",
        help="Corrected predictions that are pending review, accepted or rejected.",
        rich_help_panel=WHICH,
    ),
]


OfFinding = Annotated[
    types.FindingKind | None,
    typer.Option("--finding", help="With this finding in the last analysis.", rich_help_panel=WHICH),
]
InPile = Annotated[
    str | None,
    typer.Option(
        "--pile", help="Unlabelled, and in this pile of `datasets suggest`: label:cat.", rich_help_panel=WHICH
    ),
]


def fix(
    dataset: DatasetName,
    relabel: Annotated[
        list[str] | None,
        typer.Option("--relabel", metavar="LABEL", help="Set this label; repeatable in a multi_label data set."),
    ] = None,
    add_label: Annotated[
        list[str] | None, typer.Option("--add-label", metavar="LABEL", help="Add this label; repeatable.")
    ] = None,
    remove_label: Annotated[
        list[str] | None,
        typer.Option("--remove-label", metavar="LABEL", help="Remove this label; repeatable."),
    ] = None,
    relabel_none: Annotated[
        bool, typer.Option("--relabel-none", help="Mark them as showing none of the labels (multi_label data sets).")
    ] = False,
    unlabel: Annotated[bool, typer.Option("--unlabel", help="Remove the label.")] = False,
    exclude: Annotated[bool, typer.Option("--exclude", help="Exclude from trainings and everything else.")] = False,
    restore: Annotated[bool, typer.Option("--restore", help="Undo an exclusion.")] = False,
    set_split: Annotated[
        Literal["train", "valid", "test", "none"] | None, typer.Option("--set-split", help="Set or clear the split.")
    ] = None,
    crop: Annotated[
        str | None, typer.Option("--crop", metavar="BOX", help="Use only this part: LEFT,UPPER,RIGHT,LOWER, or none.")
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Accept corrected predictions.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="Reject corrected predictions.")] = False,
    accept_labels: Annotated[
        Path | None,
        typer.Option(
            "--accept-labels",
            metavar="FILE",
            help="JSON lines as `models suspects`, `datasets check --kind suspected_label` or `datasets images` print "
            "them with --json; - reads standard input.",
        ),
    ] = None,
    keep_best: Annotated[
        Path | None,
        typer.Option(
            "--keep-best",
            metavar="FILE",
            help='Groups as `datasets dedupe --json` prints them, or lines {"keep": ID, "images": [ID, ...]}; - reads '
            "standard input. Excludes all but the one to keep.",
        ),
    ] = None,
    undo: Annotated[str | None, typer.Option("--undo", metavar="REVISION", help="Undo a revision.")] = None,
    rename: Annotated[
        tuple[str, str] | None,
        typer.Option("--rename", metavar="OLD NEW", help="Rename a label.", rich_help_panel=RELABELS),
    ] = None,
    merge: Annotated[
        list[str] | None,
        typer.Option(
            "--merge", metavar="LABEL", help="Merge this label into --into; repeatable.", rich_help_panel=RELABELS
        ),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option("--into", metavar="LABEL", help="The label that --merge results in.", rich_help_panel=RELABELS),
    ] = None,
    delete_label: Annotated[
        str | None,
        typer.Option(
            "--delete-label",
            metavar="LABEL",
            help="Delete this label; its images stay, unlabelled.",
            rich_help_panel=RELABELS,
        ),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image", metavar="IMAGE", help="Only this image, by id or name; repeatable.", rich_help_panel=WHICH
        ),
    ] = None,
    label: Label = None,
    unlabelled: Unlabelled = False,
    none_of_these: NoneOfThese = False,
    split: InSplit = None,
    excluded: Excluded = None,
    review: InReview = None,
    finding: OfFinding = None,
    pile: InPile = None,
    everything: Annotated[bool, typer.Option("--all", help="All images.", rich_help_panel=WHICH)] = False,
    as_json: AsJson = False,
) -> None:
    """Edit images: those named, or all that match every option. Each edit can be undone."""
    if (into is None) != (not merge):
        raise typer.BadParameter("--merge and --into require each other")
    wanted = filter_of(label, unlabelled, none_of_these, split, excluded, review, finding, pile)
    which: dict[str, Any] = {"images": image, "everything": everything} | wanted
    reviewed = which if image or everything else which | {"review": review or "pending"}
    on_images: list[Edit] = [
        (relabel, lambda found: found.relabel(one_or_all(relabel or []), **which)),
        (add_label, lambda found: found.add_labels(add_label or [], **which)),
        (remove_label, lambda found: found.remove_labels(remove_label or [], **which)),
        (relabel_none, lambda found: found.relabel([], **which)),
        (unlabel, lambda found: found.relabel(None, **which)),
        (exclude, lambda found: found.exclude(**which)),
        (restore, lambda found: found.restore(**which)),
        (set_split, lambda found: found.set_split(SPLITS[set_split or NONE], **which)),
        (crop, lambda found: found.crop(read_box(crop or NONE), **which)),
    ]
    in_review: list[Edit] = [
        (accept, lambda found: found.review("accepted", **reviewed)),
        (reject, lambda found: found.review("rejected", **reviewed)),
    ]
    by_themselves: list[Edit] = [
        (accept_labels, lambda found: found.accept_labels(read_labels(accept_labels or STDIN))),
        (keep_best, lambda found: found.keep_best(read_groups(keep_best or STDIN))),
        (undo, lambda found: found.undo(undo or "")),
        (rename, lambda found: found.rename_label(*(rename or ("", "")))),
        (merge, lambda found: found.merge_labels(merge or [], into or "")),
        (delete_label, lambda found: found.delete_label(delete_label or "")),
    ]
    asked = [edit for edit in [*on_images, *in_review, *by_themselves] if edit[0]]
    if len(asked) != 1:
        raise typer.BadParameter(f"give exactly one edit, not {len(asked) or 'none'}")
    check_selection(bool(image) + bool(wanted) + everything, asked[0] in on_images, asked[0] in by_themselves)
    with Client() as client:
        found = client.datasets.get(dataset)
        which["images"] = image_ids(found, image) if image else None
        show_revision(found.name, asked[0][1](found), as_json)


def image_ids(dataset: Dataset, words: list[str]) -> list[str]:
    """Return the ids of the images that are meant by their ids or names.

    Raises:
        typer.BadParameter: there is no image of this name, or several.
    """
    ids: dict[str, list[str]] = {word: [word] for word in words if IMAGE_ID.fullmatch(word)}
    if len(ids) == len(set(words)):
        return words
    for image in dataset.pictures():
        if image.name in words:
            ids.setdefault(image.name, []).append(image.id)
    for word in words:
        if len(ids.get(word, [])) != 1:
            many = f"{len(ids[word])} images are named {word}: {', '.join(ids[word])}" if word in ids else None
            raise typer.BadParameter(f"{many or f'no image in {dataset.name} is named {word}'}.")
    return [ids[word][0] for word in words]


def show_log(dataset: DatasetName, limit: Limit = None, as_json: AsJson = False) -> None:
    """List the edits of a data set, newest first; `fix --undo` undoes one."""
    with Client() as client:
        print_records(client.datasets.get(dataset).revisions(), COLUMNS, as_json, limit, FITS)


def list_images(
    dataset: DatasetName,
    label: Label = None,
    unlabelled: Unlabelled = False,
    none_of_these: NoneOfThese = False,
    split: InSplit = None,
    excluded: Excluded = None,
    review: InReview = None,
    finding: OfFinding = None,
    pile: InPile = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List images: all, or those that match every option."""
    wanted = filter_of(label, unlabelled, none_of_these, split, excluded, review, finding, pile)
    with Client() as client:
        if label is not None:
            check_label(label, (row.label for row in client.datasets.get(dataset).classes))
        print_records(client.images.list(dataset, **wanted), IMAGE_COLUMNS, as_json, limit, FITS)


def filter_of(
    label: str | None,
    unlabelled: bool,
    none_of_these: bool,
    split: InSplit,
    excluded: bool | None,
    review: types.Review | None,
    finding: types.FindingKind | None,
    pile: str | None,
) -> Chosen:
    """Return what was asked for."""
    wanted: Chosen = {}
    if label is not None:
        wanted["label"] = label
    if unlabelled:
        wanted["unlabelled"] = True
    if none_of_these:
        wanted["none_of_these"] = True
    if split is not None:
        wanted["split"] = split
    if excluded is not None:
        wanted["excluded"] = excluded
    if review is not None:
        wanted["review"] = review
    if finding is not None:
        wanted["finding"] = finding
    if pile is not None:
        wanted["pile"] = pile
    return wanted


def check_selection(ways: int, needed: bool, refused: bool) -> None:
    """Raise BadParameter unless it is said in one way, and only where it is of use, which images are meant."""
    if refused and ways:
        raise typer.BadParameter("this edit already names its images")
    if ways > 1:
        raise typer.BadParameter("choose images by only one of --image, a filter, and --all")
    if needed and not ways:
        raise typer.BadParameter("choose images: --image, a filter such as --label, or --all")


def read_box(text: str) -> list[int] | None:
    """Read `LEFT,UPPER,RIGHT,LOWER`, or `none`."""
    if text == NONE:
        return None
    try:
        left, upper, right, lower = (int(edge) for edge in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a box; it should look like 0,0,300,200") from error
    return [left, upper, right, lower]


def one_or_all(labels: list[str]) -> str | list[str]:
    return labels[0] if len(labels) == 1 else labels


def show_revision(dataset: str, revision: types.Revision, as_json: bool) -> None:
    if as_json:
        print_json(revision)
        return
    print_fields({"revision": revision.id, "what": revision.description, "images": revision.images})
    for warning in revision.warnings:
        note(f"  {warning.get('detail')}", style="yellow")
    if revision.images:
        note(f"`tsukiji datasets fix {shlex.quote(dataset)} --undo {revision.id}` undoes it")
        suggest("train", dataset)
    else:
        note("Nothing was changed: no image matches, or the matching ones are already like this.", "yellow")
