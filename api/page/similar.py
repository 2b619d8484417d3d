"""The screen of similar pictures: what looks most like a picture of the data set, or like one that is sent."""

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse

from api.http.access import needs
from api.http.bodies import read_file, read_form
from api.http.errors import recognise, status_of
from api.page.screen import Screen, ScreenDep
from api.serialize import records
from api.submit import similar
from api.submit.similar import Where
from db.curation import datasets
from tsukiji.errors import NotFound, TsukijiError
from tsukiji.types.similar import SimilarImages

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

SHOWN = 60
IMAGE_SIZE = 224


@router.get("/datasets/{dataset}/similar")
@needs("read")
async def show_similar(dataset: str, screen: ScreenDep, image: str | None = None) -> HTMLResponse:
    """Show what looks most like an image; without one, only the form for a picture."""
    if image is None:
        return await run_in_threadpool(show, screen, dataset)
    try:
        asked = await run_in_threadpool(similar.of_image, screen.services, image, None, where(dataset))
        found = await similar.search(screen.services, *asked)
    except NotFound:
        raise
    except TsukijiError as error:
        return await run_in_threadpool(show, screen, dataset, image, error=error)
    return await run_in_threadpool(show, screen, dataset, image, found)


@router.post("/datasets/{dataset}/similar")
@needs("read", audited=False)
async def compare_picture(dataset: str, screen: ScreenDep) -> HTMLResponse:
    """Show what looks most like a picture that is sent; it is not kept."""
    try:
        async with read_form(screen.request, 1, set()) as form:
            largest = screen.services.settings.limits.image_bytes
            data = await run_in_threadpool(read_file, form.files[0], largest)
        asked = await run_in_threadpool(similar.of_picture, screen.services, where(dataset))
        found = await similar.search(screen.services, *asked, [data])
    except NotFound:
        raise
    except TsukijiError as error:
        return await run_in_threadpool(show, screen, dataset, error=error)
    return await run_in_threadpool(show, screen, dataset, None, found)


def where(dataset: str) -> Where:
    return Where(dataset, "auto", IMAGE_SIZE, SHOWN)


def show(
    screen: Screen,
    dataset: str,
    image: str | None = None,
    found: SimilarImages | None = None,
    error: TsukijiError | None = None,
) -> HTMLResponse:
    with screen.services.database.reading() as session:
        row = datasets.find(session, dataset)
        shown = records.image(datasets.find_image(session, image)) if image else None
        status = 200 if error is None else status_of(type(recognise(error)))
        context = {"image": shown, "found": found, "error": error}
        return screen.show(session, "similar.html", current="data", dataset=row, status=status, **context)
