"""The documents of this version at `/help`: the Markdown files of `docs/`. Needs no sign-in and no script."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, HTMLResponse

from api.page import manual
from api.page.rendering import render
from tsukiji.errors import NotFound

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/help")
def show_contents(request: Request) -> HTMLResponse:
    return show(request, manual.INDEX)


@router.get("/help/search")
def show_found(request: Request, q: Annotated[str, Query(max_length=200)] = "") -> HTMLResponse:
    return render(request, "help_search.html", contents=manual.contents(), here="", q=q.strip(), found=manual.search(q))


@router.get("/help/images/{name}")
def get_image(name: str) -> FileResponse:
    """Raise NotFound for what is not a picture of the documents."""
    known = {path.name: path for path in (manual.FOLDER / "images").glob("*.png")}
    if name not in known:
        raise NotFound(f"The documents have no picture {name!r}.", hint="See /help.")
    return FileResponse(known[name], headers={"cache-control": "max-age=3600"})


@router.get("/help/{page:path}")
def show_page(request: Request, page: str) -> HTMLResponse:
    return show(request, page.rstrip("/"))


def show(request: Request, name: str) -> HTMLResponse:
    if name not in manual.names():
        raise NotFound(f"The documents have no page {name!r}.", hint="See /help.")
    return render(request, "help.html", contents=manual.contents(), here=name, page=manual.page(name))
