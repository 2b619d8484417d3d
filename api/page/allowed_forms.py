"""Forms of what the visitor may not do are not shown: the routes that they lead to say what they need."""

import re
from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match

from api.http.access import Need, need_of
from tsukiji.scopes import may

FORM: Final = re.compile(r'<form\b(?=[^>]*\bmethod="post")[^>]*>')
ACTION: Final = re.compile(r'\baction="([^"?#]*)')
OPEN: Final = {"/sign-out"}
"""Acts of everyone who is signed in."""


def hide_others(page: str, app: FastAPI, here: str, scopes: list[str], *, bound: bool) -> str:
    """Return the HTML with each form hidden whose route a key with these scopes may not call.

    Args:
        page: from our own templates, which write `method="post"` and double quotes.
        app: knows the routes of the page.
        here: the path of the page, where a form without an action leads.
        scopes: of the visitor's key.
        bound: whether that is bound to data sets or models.
    """

    def hide(form: re.Match[str]) -> str:
        action = ACTION.search(form[0])
        need = need_at(app, action[1] if action and action[1] else here)
        allowed = need is None or (may(scopes, *need.scopes) and (need.bound or not bound))
        return form[0] if allowed else form[0].replace("<form", "<form hidden", 1)

    return FORM.sub(hide, page)


def need_at(app: FastAPI, path: str) -> Need | None:
    """Return what a POST to this path needs; None if anyone may send it, or it leads nowhere."""
    if path in OPEN:
        return None
    scope = {"type": "http", "method": "POST", "path": path, "root_path": "", "headers": []}
    routes: list[APIRoute] = app.state.page_routes
    return next((need_of(route.endpoint) for route in routes if route.matches(scope)[0] is Match.FULL), None)
