"""Shared by all screens: the signed-in visitor, and the rail with the current data set."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from starlette.responses import HTMLResponse

from api.http import access
from api.http.dependencies import OpenServices
from api.http.middleware import COOKIE
from api.page import counts
from api.page.allowed_forms import hide_others
from api.page.rendering import render
from api.services import Services
from db import keys, people
from db.curation import datasets
from db.models import ApiKey, Dataset
from db.paging import Window
from db.session import Session
from tsukiji.errors import Unauthorized
from tsukiji.kernel.log import identify
from tsukiji.scopes import Scope, may

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

    def may(self, *any_of: Scope) -> bool:
        """Return whether the visitor may do what needs one of these scopes."""
        return may(self.visitor.scopes, *any_of)

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
        """Render a template of a screen; it finds the rail as `rail`, and `dataset` and `may` beside the context.

        Forms of what the visitor may not do are hidden.
        """
        mine = people.keys_of(session, self.visitor.person_id) if self.visitor.person_id else []
        context |= {"rail": rail_of(session, current, dataset), "visitor": self.visitor, "may": self.may}
        context |= {"projects": [key.project for key in mine] if len(mine) > 1 else []}
        page = render(self.request, template, status, dataset=dataset, **context)
        if self.may("admin"):
            return page
        bound = bool(self.visitor.datasets or self.visitor.models)
        text = bytes(page.body).decode()
        shown = hide_others(text, self.request.app, self.request.scope["path"], self.visitor.scopes, bound=bound)
        return HTMLResponse(shown, page.status_code, {"cache-control": page.headers["cache-control"]})


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


def find_visitor(request: Request, services: OpenServices) -> ApiKey | None:
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


def open_screen(request: Request, services: OpenServices, visitor: Visitor) -> Screen:
    """Return the screen as the visitor's key sees it.

    Raises:
        Unauthorized: there is no session; the browser is sent to sign in, and then back.
        ScopeMissing, KeyBound
    """
    if visitor is None:
        raise Unauthorized("This browser is not signed in.", hint="Sign in at /sign-in.")
    access.check(request, visitor)
    return Screen(request, services.of_caller(visitor, access.actor_of(request, visitor)), visitor)


ScreenDep = Annotated[Screen, Depends(open_screen)]
