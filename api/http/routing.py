"""Routes as FastAPI's, which say what they need of a key, and whose JSON bodies our one reader reads."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from api.http.access import need_of
from api.http.bodies import json_of


class JsonRequest(Request):
    """A request whose JSON body is UTF-8, limited in depth, and free of NUL characters."""

    async def json(self) -> Any:
        try:
            return json_of(await self.body())
        except ValueError as error:
            raise json.JSONDecodeError(str(error), "", 0) from error  # which FastAPI answers like any invalid body


class Route(APIRoute):
    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        scopes = {"x-scopes": need_of(endpoint).scopes}  # raises where a route does not say
        options["openapi_extra"] = (options.get("openapi_extra") or {}) | scopes
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_json


class Router(APIRouter):
    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=Route, **options)
