"""Shared by all screens: the signed-in visitor, and the rail with the current data set."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from starlette.responses import HTMLResponse

from api.http.dependencies import ServicesDep
from api.http.middleware import COOKIE
from api.page import counts
from api.page.rendering import render
from api.services import Services
from db import keys
from db.curation import datasets
from db.models import ApiKey, Dataset
from db.paging import Window
from db.session import Session
from tsukiji.errors import Unauthorized
from tsukiji.kernel.log import identify

PICKED: Final = 100
"""Data sets in the rail; search finds the others."""


@dataclass(frozen=True)
class Rail:
    """What the navigation shows.

    Attributes:
        current: the screen's name, one of `data label curate train evaluate use batches jobs keys`.
        dataset: the current data set; None if there is none yet.
        images, unlabelled, findings: counts of it.
    """

    current: str
    dataset: Dataset | None = None
    datasets: tuple[Dataset, ...] = ()
    images: int = 0
    unlabelled: int = 0
    findings: int = 0


@dataclass(frozen=True)
class Screen:
    """One request for a screen, by a visitor who is signed in."""

    request: Request
    services: Services
    visitor: ApiKey

    def show(
        self,
        session: Session,
        template: str,
        *,
        current: str,
        dataset: Dataset | None = None,
        status: int = 200,
        **context: Any,
    ) -> HTMLResponse:
        """Render a template of a screen; it finds the rail as `rail`, and `dataset` beside the context."""
        rail = rail_of(session, current, dataset)
        return render(self.request, template, status, rail=rail, dataset=dataset, visitor=self.visitor, **context)


def rail_of(session: Session, current: str, dataset: Dataset | None) -> Rail:
    """Return the rail; screens without a data set show the newest."""
    listed = tuple(datasets.page(session, Window(PICKED)).data)
    shown = dataset or (listed[0] if listed else None)
    if shown is None:
        return Rail(current)
    labels = counts.of_images(session, shown.id).labels
    return Rail(
        current,
        shown,
        listed,
        images=sum(images for _, images in labels),
        unlabelled=dict(labels).get(None, 0),
        findings=sum(found for kind, found in counts.of_findings(session, shown.id).items() if kind != "label_next"),
    )


def find_visitor(request: Request, services: ServicesDep) -> ApiKey | None:
    """Return the key that signed this browser in, if one did."""
    token = request.cookies.get(COOKIE)
    if not token:
        return None
    with services.database.reading() as session:
        key = keys.signed_in(session, token)
    if key:
        identify(key_id=key.id)
    return key


Visitor = Annotated[ApiKey | None, Depends(find_visitor)]


def open_screen(request: Request, services: ServicesDep, visitor: Visitor) -> Screen:
    """Raise Unauthorized without a session; the browser is sent to sign in, and then back."""
    if visitor is None:
        raise Unauthorized("This browser is not signed in.", hint="Sign in at /sign-in.")
    return Screen(request, services, visitor)


ScreenDep = Annotated[Screen, Depends(open_screen)]
