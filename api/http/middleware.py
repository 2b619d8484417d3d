"""Middleware of all requests: id, log line, headers, host, origin, size. Pure ASGI."""

import asyncio
import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.bodies import TABLES, announced_bytes
from api.http.errors import METHODS, HostNotAllowed, answer_error, problem_response
from tsukiji.errors import Forbidden, Invalid, TooLarge, TsukijiError
from tsukiji.ids import new_id
from tsukiji.kernel.log import identified
from tsukiji.kernel.metrics import meters
from tsukiji.kernel.settings import LimitSettings

log = structlog.get_logger(__name__)

COOKIE = "tsukiji_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
SECURITY = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; script-src 'self'; style-src 'self'; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
PROBES = frozenset({"/livez", "/readyz", "/healthz"})
QUIET = PROBES | {"/metrics"}
SLOWEST = 500
"""Least bytes per second of a body after the first `TSUKIJI_API_BODY_SECONDS`."""
CLIENT_GONE = 499  # nginx's status for a client that has gone; only in the log


class Front:
    """The outermost: gives each request an id, logs it, and answers uncaught errors."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        given = request.headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else new_id("req")
        request.state.request_id = request_id
        line = Line(send, request)
        with identified(request_id=request_id):
            try:
                await self.app(scope, receive, line.send)
            except ClientDisconnect:
                line.status = CLIENT_GONE
            except Exception as error:
                log.exception("request_failed", method=request.method, path=request.scope["path"])
                if line.status:
                    raise
                await answer_error(request, error)(scope, receive, line.send)
            finally:
                line.write(request)


class Line:
    """One request's log line, and the headers of every response."""

    def __init__(self, send: Send, request: Request) -> None:
        self._send = send
        self._state = request.state
        self._started = time.perf_counter()
        self._bytes = 0
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._state.request_id
            headers.update(getattr(self._state, "rate_limit", {}))
            for name, value in SECURITY.items():
                headers.setdefault(name, value)
        else:
            self._bytes += len(message.get("body", b""))
        await self._send(message)

    def write(self, request: Request) -> None:
        route = route_of(request.scope)
        seconds = time.perf_counter() - self._started
        if request.scope["path"] not in QUIET:
            count(request.method, route, self.status or CLIENT_GONE, seconds)
        write = log.debug if request.scope["path"] in QUIET else log.info
        write(
            "request_served",
            method=request.method,
            path=request.scope["path"],
            route=route,
            client=request.client.host if request.client else None,
            status=self.status or CLIENT_GONE,
            ms=round(1000 * seconds, 1),
            bytes=self._bytes,
            problem=getattr(request.state, "problem", None),
        )


def route_of(scope: Scope) -> str | None:
    """Return the template of the address, such as `/v1/jobs/{job}`; None if no route took the request.

    The route itself does not know the prefix of its router; FastAPI keeps the whole beside it.
    """
    whole = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return getattr(whole, "path", None)


def count(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count a request; what no route took, and methods that none has, are counted together."""
    known = route or "none"
    meters().http_requests.labels(known, method if method in METHODS else "other", status).inc()
    meters().http_request_seconds.labels(known).observe(seconds)


class Gate:
    """Refuses a request for which a check returns an error, before its body is read."""

    def __init__(self, app: ASGIApp, check: Callable[[Request], TsukijiError | None]) -> None:
        self.app = app
        self.check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = self.check(Request(scope)) if scope["type"] == "http" else None
        if error is None:
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["problem"] = error.code
        await problem_response(error, state.get("request_id"))(scope, receive, send)


def host_check(allowed: list[str]) -> Callable[[Request], TsukijiError | None]:
    """Against DNS rebinding: another site may point its own name at this machine."""
    names = {host.lower() for host in allowed}
    suffixes = tuple(host[1:] for host in names if host.startswith("*."))

    def check(request: Request) -> TsukijiError | None:
        if request.scope["path"] in PROBES:
            return None  # probes use the address, and learn nothing private
        host = re.sub(r":\d*$", "", request.headers.get("host", "")).lower()
        if "*" in names or host in names or host.endswith(suffixes):
            return None
        return HostNotAllowed(f"{host[:200]!r} is not an allowed host.")

    return check


def check_text(request: Request) -> TsukijiError | None:
    """Refuses NUL characters in path and query: databases do."""
    if "\0" not in request.scope["path"] and b"%00" not in request.scope["query_string"]:
        return None
    detail = "it contains a NUL character"
    names = [name for name, value in request.query_params.multi_items() if "\0" in name + value]
    lines = [{"parameter": name, "code": "invalid", "detail": detail} for name in names]
    return Invalid(f"{names[0] if names else 'The address'}: {detail}.", hint="Leave out %00.", errors=lines)


def check_origin(request: Request) -> TsukijiError | None:
    """Against cross-site requests with the browser's cookie (OWASP: Fetch Metadata, else Origin)."""
    if request.method in SAFE_METHODS or not rides_on_cookie(request):
        return None
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    same = site in {"same-origin", "none"} if site else urlsplit(origin).netloc == request.headers.get("host")
    return None if same else Forbidden("The request comes from another site.", hint="Send an API key as Bearer token.")


def rides_on_cookie(request: Request) -> bool:
    bearer = request.headers.get("authorization", "").lower().startswith("bearer ")
    return not bearer and (COOKIE in request.cookies or not request.scope["path"].startswith("/v1/"))


class BodyLimit:
    """Counts the bytes that arrive, whatever Content-Length says, and answers 413 beyond the limit.

    A body that stalls, or is slower than `SLOWEST` bytes per second, ends in 408; only time spent waiting for the
    client counts.
    """

    def __init__(self, app: ASGIApp, limits: LimitSettings, seconds: float) -> None:
        self.app = app
        self.limits = limits
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = getattr(self.limits, limit_name(scope["path"], Headers(scope=scope).get("content-type", "")))
        received, waited, complete = 0, 0.0, False

        async def count() -> Message:
            nonlocal received, waited, complete
            if complete:  # a later call only checks whether the client has gone
                return await receive()
            began = time.perf_counter()
            try:
                async with asyncio.timeout(min(self.seconds, self.seconds + received / SLOWEST - waited)):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(408) from error
            waited += time.perf_counter() - began
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received > limit:
                raise HTTPException(413)
            return message

        announced = announced_bytes(Headers(scope=scope))
        if announced is not None and announced > limit:
            state = scope.setdefault("state", {})
            state["problem"] = TooLarge.code
            error = TooLarge(f"{announced:,} bytes; at most {limit:,} are allowed here.")
            await problem_response(error, state.get("request_id"))(scope, receive, send)
            return
        await self.app(scope, count, send)


LIMITS = (
    (re.compile(r"/v1/uploads/[^/]+/parts/[^/]+"), "", "largest_part_bytes"),
    (re.compile(r"/v1/(batches|datasets/[^/]+/imports)"), "application/json", "json_bytes"),
    (re.compile(r"/v1/datasets/[^/]+/imports"), tuple(TABLES), "table_bytes"),
    (re.compile(r"/v1/datasets/[^/]+/imports"), "", "archive_bytes"),
    (re.compile(r"/v1/batches"), ("application/jsonl", "application/x-ndjson"), "manifest_bytes"),
    (re.compile(r"(/v1)?/batches|/v1/datasets/[^/]+/images|/v1/models"), "multipart/", "request_bytes"),
    (re.compile(r"/v1/batches"), "", "archive_bytes"),
    (re.compile(r"/v1/models/[^/]+/predict|/v1/similar|/datasets/[^/]+/similar|/use"), "", "predict_bytes"),
)
"""Path, start of the content type, limit; the first match counts."""


def limit_name(path: str, content_type: str) -> str:
    for pattern, beginning, name in LIMITS:
        if pattern.fullmatch(path) and content_type.lower().startswith(beginning):
            return name
    return "json_bytes"
