"""The first screen: data sets and models, or how to begin."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import ANY, needs
from api.page.screen import ScreenDep
from api.serialize import records
from api.submit.sample import start_sample
from db import registry
from db.curation import datasets
from db.jobs import jobs
from db.paging import Window
from db.session import Session

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

LISTED = 60
MODELS = 8
PICTURES = 4


@router.get("/")
@needs(*ANY)
def show_home(screen: ScreenDep) -> HTMLResponse:
    with screen.services.database.reading() as session:
        return screen.show(
            session, "home.html", current="home", listed=list_datasets(session), models=list_models(session)
        )


def list_datasets(session: Session) -> list[dict[str, object]]:
    """Return the newest data sets, each with its counts and its first pictures."""
    rows = datasets.page(session, Window(LISTED)).data
    labels = datasets.count_labels(session, [row.id for row in rows])
    return [
        {
            "record": records.dataset(row, labels[row.id]),
            "images": [records.image(image) for image in datasets.page_images(session, row.id, Window(PICTURES)).data],
        }
        for row in rows
    ]


def list_models(session: Session) -> list[object]:
    rows = registry.page_models(session, Window(MODELS)).data
    named = registry.aliases_of(session, [row.id for row in rows])
    return [records.model(row, named.get(row.id, ())) for row in rows]


@router.post("/datasets")
@needs("label", bound=False)
def create_dataset(screen: ScreenDep, name: Annotated[str, Form(max_length=200)]) -> Response:
    """Create a data set for a browser without script; with script the drop zone does it by `/v1`."""
    with screen.services.database.transaction() as session:
        row = datasets.create(session, name.strip())
    return RedirectResponse(f"/datasets/{row.id}", 303)


@router.post("/datasets/sample")
@needs("label", bound=False, act="create_sample")
def load_sample(screen: ScreenDep) -> Response:
    """Start the import of the sample pictures, and lead to the data set that it fills."""
    made, _ = start_sample(screen.services, screen.visitor)
    with screen.services.database.reading() as session:
        return RedirectResponse(f"/datasets/{jobs.find(session, made.id).dataset_id}", 303)
