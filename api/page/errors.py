"""Error pages: what happened and what to do."""

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from api.http.errors import status_of
from api.page.rendering import render
from api.page.sign_in import sign_in_address
from tsukiji.errors import TsukijiError, Unauthorized


def show_error(request: Request, error: TsukijiError) -> Response:
    """Return the page of an error; without a session, redirect to the sign-in, and from there back."""
    if isinstance(error, Unauthorized):
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(sign_in_address(target if request.method == "GET" else "/"), 303)
    return render(request, "error.html", status_of(type(error)), error=error)
