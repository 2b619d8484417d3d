"""Errors as HTTP: one table of statuses, one format (RFC 9457 `application/problem+json`), one handler."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Mount

from db.session import DatabaseFull, DatabaseUnavailable, PoolExhausted, RowExists, ValueRefused
from tsukiji import errors
from tsukiji.errors import Conflict, Invalid, NotFound, TsukijiError
from tsukiji.types.base import TEXT

Model = TypeVar("Model", bound=BaseModel)
ShowError = Callable[[Request, TsukijiError], Response]
"""Renders an error as a page."""


class MethodNotAllowed(TsukijiError):
    code = "method_not_allowed"
    title = "Method not allowed"
    hint = "The `Allow` header lists the methods."


class HostNotAllowed(TsukijiError):
    code = "host_not_allowed"
    title = "This host name is not allowed"
    hint = "Add the name to TSUKIJI_API_ALLOWED_HOSTS."


class RequestMalformed(TsukijiError):
    code = "request_malformed"
    title = "Not a valid HTTP request"
    hint = "Send HTTP/1.1; a proxy between the program and the service may have altered the request."


class HeadersTooLarge(TsukijiError):
    code = "headers_too_large"
    title = "The request's address and headers are too large"
    hint = "GET /v1/limits shows the limits; shorten the address, or send fewer cookies."


class RequestTimedOut(TsukijiError):
    code = "request_timeout"
    title = "The request took too long to arrive"
    hint = "Send it again; upload large files in parts: each part that arrives is kept."
    retriable = True


class TooManyConnections(TsukijiError):
    code = "too_many_connections"
    title = "All of the service's connections are in use"
    hint = "Try again; the operator may raise TSUKIJI_API_CONNECTIONS."
    retriable = True


class TooManyStreams(TsukijiError):
    code = "too_many_streams"
    title = "Too many clients follow jobs"
    hint = "Poll the job instead, with `Prefer: wait=N`; or try again."
    retriable = True


class ChangedMeanwhile(Conflict):
    code = "changed_meanwhile"
    title = "The same thing was changed concurrently"
    hint = "Try again."
    retriable = True


class NotReady(TsukijiError):
    code = "not_ready"
    title = "A dependency of the service does not answer"
    hint = "GET /readyz shows which."
    retriable = True


STATUS: dict[type[TsukijiError], int] = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Invalid: 422,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.TooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.QueueFull: 429,
    errors.RateLimited: 429,
    errors.QuotaExceeded: 429,
    errors.ResultsDeleted: 410,
    errors.ImageError: 422,
    errors.ArchiveError: 422,
    errors.DatasetTooSmall: 422,
    errors.GuaranteeUnmet: 422,
    errors.PackageInvalid: 422,
    errors.StorageFull: 507,
    errors.StorageUnavailable: 503,
    errors.WeightsUnavailable: 422,
    errors.SignInError: 400,
    errors.ProviderUnreachable: 503,
    errors.ProviderInvalid: 502,
    errors.ClientRefused: 502,
    errors.EmailUnverified: 403,
    errors.NotInvited: 403,
    MethodNotAllowed: 405,
    HostNotAllowed: 421,
    RequestMalformed: 400,
    HeadersTooLarge: 431,
    RequestTimedOut: 408,
    TooManyConnections: 503,
    TooManyStreams: 429,
    errors.DatabaseAway: 503,
    NotReady: 503,
    TsukijiError: 500,
}
"""A class that is not listed has its parent's status."""

READING = ("GET", "HEAD")
METHODS = (*READING, "POST", "PUT", "PATCH", "DELETE")

RETRY_SECONDS = {429: 10, 503: 2, 507: 60}

HTTP_ERRORS: dict[int, type[TsukijiError]] = {
    400: errors.Invalid,
    404: errors.NotFound,
    405: MethodNotAllowed,
    408: RequestTimedOut,
    413: errors.TooLarge,
    415: errors.UnsupportedMediaType,
}


def status_of(error: type[TsukijiError]) -> int:
    return next(STATUS[parent] for parent in error.__mro__ if parent in STATUS)


def recognise(error: Exception) -> TsukijiError:
    """Return it as a TsukijiError; an unexpected one is `internal`, without details."""
    match error:
        case TsukijiError():
            return error
        case RequestValidationError():
            return describe_validation(error.errors())
        case HTTPException():
            kind = HTTP_ERRORS.get(error.status_code, Invalid)
            return kind("" if kind is not Invalid else str(error.detail))
        case DatabaseFull():
            return errors.StorageFull("The database's disk is full.")
        case DatabaseUnavailable() | PoolExhausted():
            return errors.DatabaseAway()
        case RowExists():
            return ChangedMeanwhile()
        case ValueRefused():
            return Invalid("The database cannot store one of these values.", hint="Remove NUL characters.")
    return errors.InternalError()


def describe_validation(found: Sequence[Any]) -> Invalid:
    """Return one error that lists the places: `pointer` into the body (RFC 6901), or `parameter`."""
    lines = [
        describe_place(error["loc"]) | {"code": error["type"], "detail": error["msg"].removeprefix("Value error, ")}
        for error in found
    ]
    first = lines[0]
    place = first.get("parameter") or first.get("pointer")
    return Invalid(f"{place}: {first['detail']}", errors=lines)


def describe_place(loc: Sequence[int | str]) -> dict[str, str]:
    if not loc or loc[0] != "body":
        return {"parameter": str(loc[-1]) if loc else ""}
    if len(loc) == 2 and isinstance(loc[1], int):  # the position of a syntax error
        return {"pointer": "#"}
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in loc[1:])
    return {"pointer": "#" + "".join(f"/{step}" for step in steps)}


def invalid_field(pointer: str, detail: str, hint: str | None = None) -> Invalid:
    """Return the error of one place in the body."""
    return Invalid(
        f"{pointer}: {detail}", hint=hint, errors=[{"pointer": pointer, "code": "invalid", "detail": detail}]
    )


def validated(model: type[Model], values: Any, place: str, context: Mapping[str, bool] = TEXT) -> Model:
    """Validate values of a query or form like a JSON body.

    Raises:
        RequestValidationError: with `place` ("body" or "query") before each location.
    """
    try:
        return model.model_validate(values, context=context)
    except ValidationError as error:
        found = [
            line | {"loc": (place, *line["loc"])} for line in error.errors(include_url=False, include_context=False)
        ]
        raise RequestValidationError(found) from error


def problem_response(
    error: TsukijiError, request_id: str | None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    status = status_of(type(error))
    body = {"type": f"/problems/{error.code}", "status": status, "request_id": request_id, **error.to_dict()}
    pause = error.extra.get("retry_after_seconds", RETRY_SECONDS.get(status))
    extra = {} if pause is None else {"retry-after": str(pause)}
    if status == 409:
        extra["x-should-retry"] = "true" if error.retriable else "false"
    if status == 408:
        extra["connection"] = "close"  # the rest of the body would be read as the next request
    if status == 401:
        extra["www-authenticate"] = 'Bearer realm="tsukiji"'
    return JSONResponse(body, status, headers={**extra, **(headers or {})}, media_type="application/problem+json")


def answer_error(request: Request, error: Exception) -> Response:
    """The only handler: a page for browsers, JSON for programs."""
    known = recognise(error)
    allowed = {"allow": ", ".join(methods_of(request))} if isinstance(known, MethodNotAllowed) else {}
    if isinstance(known, NotFound) and isinstance(error, HTTPException):
        known = NotFound(f"{request.scope['path']} does not exist.", hint="/docs lists the addresses.")
    request.state.problem = known.code
    show_page: ShowError | None = getattr(request.app.state, "show_error", None) if wants_page(request) else None
    if show_page:
        return show_page(request, known)
    return problem_response(known, getattr(request.state, "request_id", None), allowed)


def wants_page(request: Request) -> bool:
    """Return whether a browser asks for a page outside of the API."""
    html = "text/html" in request.headers.get("accept", "")
    return html and not request.scope["path"].startswith(("/v1/", "/problems/"))


def methods_of(request: Request) -> list[str]:
    """Return all methods of an address; Starlette's router lists only those of its first route."""
    scope = {"type": "http", "path": request.scope["path"], "root_path": "", "headers": []}

    def is_taken(method: str) -> bool:
        found = (route for route in request.app.routes if route.matches({**scope, "method": method})[0] is Match.FULL)
        return any(method in READING or not isinstance(route, Mount) for route in found)  # only files are mounted

    return [method for method in METHODS if is_taken(method)]


def install(app: FastAPI, show_error: ShowError) -> None:
    app.state.show_error = show_error
    foreseen = (
        TsukijiError,
        RequestValidationError,
        HTTPException,
        DatabaseUnavailable,
        PoolExhausted,
        RowExists,
        ValueRefused,
    )
    for kind in foreseen:
        app.add_exception_handler(kind, answer_error)


def catalogue() -> dict[str, type[TsukijiError]]:
    """Return all imported classes of errors by their code."""
    return {kind.code: kind for kind in descend(TsukijiError)}


def descend(kind: type[TsukijiError]) -> Iterator[type[TsukijiError]]:
    for child in kind.__subclasses__():
        yield child
        yield from descend(child)
