"""`tsukiji datasets check` and `dedupe`: analyse a data set, and show what should be looked at."""

from collections.abc import Callable, Iterator
from itertools import groupby, islice
from typing import Annotated, Any, Final, get_args

import typer

from tsukiji import types
from tsukiji.cli.options import DatasetName, Limit, Timeout, check_label
from tsukiji.cli.output import (
    FITS,
    OUT,
    AsJson,
    labels_of,
    note,
    print_fields,
    print_json,
    print_records,
    print_table,
    suggest,
)
from tsukiji.cli.waiting import wait
from tsukiji.cli.wording import way_out
from tsukiji.client import Client, Dataset

ImageSize = Annotated[int | None, typer.Option("--image-size", help="Input size in pixels; 224 by default.")]
OnlyLast = Annotated[bool, typer.Option("--last", help="Show the last analysis; do not start a new one.")]

RARE_SHOWN: Final = 20
COLUMNS: Final[dict[str, Callable[[types.Finding], Any]]] = {
    "kind": lambda found: found.kind,
    "image": lambda found: found.image_id,
    "name": lambda found: found.name,
    "label": lambda found: labels_of(found.label, found.labels),
    "score": lambda found: found.score,
    "suggestion": lambda found: describe(found.suggestion),
}


def check(
    dataset: DatasetName,
    kind: Annotated[types.FindingKind | None, typer.Option("--kind", help="List the images with this finding.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="List only images with this label.")] = None,
    last: OnlyLast = False,
    image_size: ImageSize = None,
    limit: Limit = None,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Analyse a data set: duplicates, poor pictures, outliers, wrong labels, what to label next."""
    with Client() as client:
        found = client.datasets.get(dataset)
        check_label(label, (row.label for row in found.classes))
        analysis = analysed(found, last, image_size, timeout)
        if kind or label:
            print_records(found.findings(kind, label=label), COLUMNS, as_json, limit, FITS)
        elif as_json:
            print_json(analysis)
        else:
            print_analysis(analysis)
        if analysis.findings.get("suspected_label") and kind is None:
            suggest("datasets", "check", dataset, "--last", "--kind", "suspected_label")
        else:
            suggest("train", dataset)


def dedupe(
    dataset: DatasetName,
    last: OnlyLast = False,
    limit: Limit = None,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Show pictures that look the same, group by group, and which of each to keep: the largest, least compressed."""
    with Client() as client:
        found = client.datasets.get(dataset)
        analysis = analysed(found, last, None, timeout)
        shown = limit or (FITS if OUT.is_terminal and not as_json else None)
        groups = islice(grouped(found), shown)
        if as_json:
            for group in groups:
                print_json(group)
            return
        rows = [row for group in groups for row in group_rows(group)]
        print_table(["group", "keep", "image", "name", "label", "split", "size", "bytes", "alike"], rows)
    note(f"{analysis.groups} groups of {analysis.findings.get('near_duplicates', 0)} images")
    if shown and analysis.groups > shown:
        note(f"The first {shown} are shown; --limit N shows N, and a pipe or a file gets all.")


def analysed(dataset: Dataset, last: bool, image_size: int | None, timeout: float | None) -> types.Analysis:
    """Return the analysis: a new one, or the last where that is asked for.

    Raises:
        JobError: it did not succeed, or not in time.
    """
    if not last:
        job = dataset.analyse(image_size=image_size)
        note(f"analysis {job.id}")
        wait(job, timeout).raise_for_status()
    analysis = dataset.analysis()
    if analysis is None:
        raise ValueError(f"{dataset.name} has not been analysed yet; omit --last")
    for missing in analysis.unavailable:
        kinds = ", ".join(missing.get("findings", []))
        note(f"skipped: {kinds}. {missing.get('title')}: {missing.get('detail')}", style="yellow")
        note(f"  {way_out(missing.get('hint') or '')}")
    return analysis


def print_analysis(analysis: types.Analysis) -> None:
    print_fields({"images": analysis.images, "unlabelled": analysis.unlabelled, "analysed": analysis.finished_at})
    kinds = [kind for kind in get_args(types.FindingKind) if kind in analysis.findings or kind in analysis.prevalent]
    print_table(["finding", "images"], [[kind, analysis.findings.get(kind, 0)] for kind in kinds])
    for kind in kinds:
        if kind in analysis.prevalent:
            note(prevalence(kind, analysis.prevalent[kind], analysis.images, analysis.findings.get(kind, 0)))
    rare = [[row.label, row.images, row.share] for row in analysis.balance if row.rare]
    if rare:
        print_table(["rare label", "images", "share"], rare, fits=RARE_SHOWN, rest=None)


def prevalence(kind: str, found: int, images: int, listed: int) -> str:
    """Say of a kind that very many images have how many do, and what is listed of them."""
    share = f"{kind}: {found:,} of {images:,} images"
    if listed == found:
        return f"{share}, all listed"
    if not listed:
        return f"{share}, so it is usual here; there are no outliers, and none are listed"
    return f"{share}, so it is usual here; the {listed:,} outliers are listed, worst first"


def grouped(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Yield groups of near-duplicates, the most alike first."""
    for group, members in groupby(dataset.findings("near_duplicates"), lambda found: found.group):
        listed = list(members)
        keep = (listed[0].suggestion or {}).get("keep")
        images = [member.model_dump(mode="json") for member in listed]
        yield {"object": "group", "group": group, "keep": keep, "score": listed[0].score, "images": images}


def group_rows(group: dict[str, Any]) -> Iterator[list[Any]]:
    for image in group["images"]:
        keep = "keep" if image["image_id"] == group["keep"] else None
        size = f"{image['width']}x{image['height']}"
        facts = [
            image["name"],
            labels_of(image["label"], image["labels"]),
            image["split"],
            size,
            image["bytes"],
            1 - group["score"],
        ]
        yield [group["group"], keep, image["image_id"], *facts]


def describe(suggestion: dict[str, Any] | None) -> str | None:
    if not suggestion:
        return None
    told = {name: value for name, value in suggestion.items() if name != "neighbours"}  # ids are for programs
    return ", ".join(f"{name} {spell(value)}" for name, value in told.items()) or None


def spell(value: Any) -> str:
    match value:
        case dict():
            return " ".join(f"{name} {count}" for name, count in value.items())
        case [dict(), *_]:
            return " ".join(str(row.get("name")) for row in value)
        case list():
            return " ".join(map(str, value))
        case _:
            return str(value)
