"""The Data screen: pictures by filter, counts of each filter, and uploads."""

from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import needs
from api.http.bodies import read_form
from api.http.image_filters import FilterDep
from api.page import counts
from api.page.screen import Screen, ScreenDep
from api.serialize import job_records, records
from api.submit.freezing import freeze
from api.submit.image_intake import take_files
from db.curation import datasets
from db.jobs import jobs
from db.models import Dataset as DatasetRow
from db.paging import Window
from db.session import Session
from tsukiji.errors import Invalid
from tsukiji.jobs import JobKind
from tsukiji.types import Dataset, ImageFilter, Job, UploadResult

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

View = Literal["grid", "labels"]

PICTURES: Final = 60
"""Images per page without script; with script the grid loads more from `/v1`."""
COLUMNS: Final = 8
PICTURES_OF_COLUMN: Final = 12
LABEL_CHIPS: Final = 8
FINDINGS: Final = {
    "exact_duplicates": "same picture",
    "near_duplicates": "near-duplicates",
    "conflicting_labels": "conflicting labels",
    "leaky_splits": "in two splits",
    "suspected_label": "suspected labels",
    "blurry": "blurry",
    "dark": "dark",
    "light": "overexposed",
    "low_information": "almost empty",
    "grayscale": "grey",
    "odd_size": "odd size",
    "odd_aspect_ratio": "odd shape",
    "outlier": "outliers",
    "crop": "to crop",
    "label_next": "label next",
}


@router.get("/datasets/{dataset}")
@needs("read")
def show_data(
    dataset: str,
    screen: ScreenDep,
    wanted: FilterDep,
    view: View = "grid",
    cursor: str | None = None,
    page: Annotated[int, Query(alias="columns", ge=0)] = 0,
    image: str | None = None,
) -> HTMLResponse:
    with screen.services.database.reading() as session:
        row = datasets.find(session, dataset)
        record = describe(session, row)
        found = counts.of_findings(session, row.id)
        place = Place(row.id, wanted, view)
        shown: dict[str, Any] = (
            {"columns": list_columns(session, row, record, page), "page": page}
            if view == "labels"
            else {"images": list_images(session, row, wanted, cursor, place)}
        )
        if image is not None:
            opened = datasets.find_image(session, image)
            shown["opened"] = records.image(opened)
        return screen.show(
            session,
            "data.html",
            current="data",
            dataset=row,
            record=record,
            here=place,
            chips=list_chips(record, found, place),
            balance=records.balance(
                {each.label: each.images for each in record.classes if each.label is not None},
                record.images - unlabelled(record),
            ),
            labels=[each.label for each in record.classes if each.label is not None],
            unlabelled=unlabelled(record),
            findings=sum(number for kind, number in found.items() if kind != "label_next"),
            total=count_of(record, found, wanted),
            per_page=COLUMNS,
            arriving=newest_import(session, row),
            **shown,
        )


@router.post("/datasets/{dataset}/images")
@needs("label", act="add_images")
async def add_pictures(dataset: str, request: Request, screen: ScreenDep) -> Response:
    """Add pictures for a browser without script; with script the drop zone uploads them by `/v1`."""
    async with read_form(request, screen.services.settings.limits.request_files, {"label"}) as sent:
        result = await screen.services.decoding(take_files, screen.services, screen.visitor, dataset, sent)
    if result.rejected:
        return await run_in_threadpool(show_verdicts, screen, dataset, result)
    return RedirectResponse(f"/datasets/{dataset}", 303)


def show_verdicts(screen: Screen, dataset: str, result: UploadResult) -> HTMLResponse:
    with screen.services.database.reading() as session:
        row = datasets.find(session, dataset)
        return screen.show(session, "verdicts.html", current="data", dataset=row, result=result, status=201)


@router.post("/datasets/{dataset}/snapshots")
@needs("label", act="create_snapshot")
def freeze_snapshot(dataset: str, screen: ScreenDep) -> Response:
    freeze(screen.services, dataset)
    return RedirectResponse(f"/datasets/{dataset}", 303)


@router.post("/datasets/{dataset}/delete")
@needs("train")
def delete_dataset(dataset: str, screen: ScreenDep, name: Annotated[str, Form(max_length=200)]) -> Response:
    """Delete the data set, if its name was typed.

    Raises:
        Invalid: another name was typed.
    """
    with screen.services.database.transaction() as session:
        row = datasets.find(session, dataset)
        if name.strip() != row.name:
            raise Invalid(f"{name!r} is not the name of this data set; nothing was deleted.", hint="Type its name.")
        datasets.remove(session, row.id)
    return RedirectResponse("/", 303)


def newest_import(session: Session, row: DatasetRow) -> Job | None:
    found = jobs.page(session, Window(1), JobKind.IMPORT, dataset_id=row.id).data
    return job_records.job(found[0]) if found else None


class Place:
    """The screen's state (filter, view), from which links are made."""

    def __init__(self, dataset_id: str, wanted: ImageFilter, view: View) -> None:
        self.dataset_id = dataset_id
        self.view = view
        self.filter = wanted.model_dump(exclude_defaults=True)

    def link(self, wanted: dict[str, Any] | None = None, **more: Any) -> str:
        """Return the address of a filter, by default the current one, in the same view."""
        view = {"view": self.view} if self.view != "grid" and not wanted else {}
        query = view | (self.filter if wanted is None else wanted) | more
        return f"/datasets/{self.dataset_id}" + (f"?{encoded(query)}" if query else "")

    def source(self, wanted: dict[str, Any] | None = None) -> str:
        """Return the list of `/v1` with the same images."""
        query = encoded(self.filter if wanted is None else wanted)
        return f"/v1/datasets/{self.dataset_id}/images" + (f"?{query}" if query else "")


def encoded(query: dict[str, Any]) -> str:
    told = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
    return urlencode({name: value for name, value in told.items() if value is not None})


def describe(session: Session, row: DatasetRow) -> Dataset:
    return records.dataset(row, *counts.of_images(session, row.id), datasets.count_left_out(session, [row.id])[row.id])


def unlabelled(record: Dataset) -> int:
    return next((each.images for each in record.classes if each.label is None), 0)


def list_images(
    session: Session, row: DatasetRow, wanted: ImageFilter, cursor: str | None, place: Place
) -> dict[str, Any]:
    # Bound to the filter as a cursor of /v1 is: one of another filter is refused.
    window = Window(PICTURES, cursor, (row.id, wanted.model_dump_json()))
    found = datasets.page_images(session, row.id, window, wanted)
    following = place.link(cursor=found.next_cursor) if found.next_cursor else None
    return {"data": [records.image(each) for each in found.data], "next": following, "is_first": cursor is None}


def list_columns(session: Session, row: DatasetRow, record: Dataset, page: int) -> list[dict[str, Any]]:
    """Return the labels of one page with their first pictures; those without a label come first."""
    listed = sorted(record.classes, key=lambda each: (each.label is not None, -each.images, each.label or ""))
    columns = []
    for each in listed[page * COLUMNS : (page + 1) * COLUMNS]:
        wanted = ImageFilter(label=each.label) if each.label is not None else ImageFilter(unlabelled=True)
        images = datasets.page_images(session, row.id, Window(PICTURES_OF_COLUMN), wanted).data
        columns.append(
            {
                "label": each.label,
                "images": each.images,
                "filter": wanted.model_dump(exclude_defaults=True),
                "data": [records.image(image) for image in images],
            }
        )
    return columns


def count_of(record: Dataset, found: dict[str, int], wanted: ImageFilter) -> int | None:
    """Return how many images match a filter of one member; None for several, which are not counted."""
    match wanted.model_dump(exclude_defaults=True):
        case {} as given if not given:
            return record.images
        case {"label": label, **rest} if not rest:
            return next((each.images for each in record.classes if each.label == label), 0)
        case {"unlabelled": True, **rest} if not rest:
            return unlabelled(record)
        case {"none_of_these": True, **rest} if not rest:
            return record.none_of_these
        case {"split": split, **rest} if not rest:
            return record.splits.get(split, 0)
        case {"excluded": excluded, **rest} if not rest:
            return record.excluded if excluded else record.images - record.excluded
        case {"review": "pending", **rest} if not rest:
            return record.pending
        case {"finding": kind, **rest} if not rest:
            return found.get(kind, 0)
    return None


def list_chips(record: Dataset, found: dict[str, int], place: Place) -> dict[str, list[dict[str, Any]]]:
    """Return the filters that match something, in groups."""

    def chip(text: str, images: int, **wanted: Any) -> dict[str, Any]:
        return {"text": text, "n": images, "href": place.link(wanted), "current": place.filter == wanted}

    def some(*chips: dict[str, Any]) -> list[dict[str, Any]]:
        return [each for each in chips if each["n"] or each["current"]]

    labels = [chip(each.label, each.images, label=each.label) for each in record.classes if each.label is not None]
    first = labels[:LABEL_CHIPS] if len(labels) > LABEL_CHIPS + 1 else labels
    current = [each for each in labels if each["current"] and each not in first]
    return {
        "labels": [
            chip("All", record.images),
            *some(
                chip("no label", unlabelled(record), unlabelled=True),
                chip("none of the labels", record.none_of_these, none_of_these=True),
            ),
            *first,
            *current,
        ],
        "more": labels[len(first) :],
        "others": some(
            *(
                chip(text, record.splits.get(split, 0), split=split)
                for split, text in (("train", "train"), ("valid", "validation"), ("test", "test"))
            ),
            chip("excluded", record.excluded, excluded=True),
            chip("to review", record.pending, review="pending"),
            *(chip(text, found.get(kind, 0), finding=kind) for kind, text in FINDINGS.items()),
        ),
    }
