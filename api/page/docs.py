"""Interactive documentation that needs no internet: Swagger UI from a Python package, fed by our own script."""

import copy
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

from api.page.rendering import render

router = APIRouter(include_in_schema=False)


@router.get("/docs", response_class=HTMLResponse)
def show_docs(request: Request) -> HTMLResponse:
    return render(request, "docs.html")


@router.get("/docs/openapi.json")
def get_old_schema(request: Request) -> JSONResponse:
    """The bundled Swagger UI reads OpenAPI 3.0 and not the 3.1 that `/openapi.json` is written in."""
    app: FastAPI = request.app
    return JSONResponse(downgrade(copy.deepcopy(app.openapi())) | {"openapi": "3.0.3"})


def downgrade(node: Any) -> Any:
    """Say in OpenAPI 3.0 what our schema says in 3.1: null, single values, exclusive bounds, examples."""
    if isinstance(node, list):
        return [downgrade(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {name: downgrade(value) for name, value in node.items()}
    if isinstance(node.get("anyOf"), list) and {"type": "null"} in node["anyOf"]:
        kept = [kind for kind in node.pop("anyOf") if kind != {"type": "null"}]
        node |= {"nullable": True} | (kept[0] if len(kept) == 1 and "$ref" not in kept[0] else {"anyOf": kept})
    if isinstance(node.get("const"), str):
        node["enum"] = [node.pop("const")]
    for bound, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(node.get(bound), (int, float)) and not isinstance(node[bound], bool):
            node |= {inclusive: node[bound], bound: True}
    if isinstance(node.get("examples"), list):
        node["example"] = node.pop("examples")[0]
    return node


def install(app: FastAPI) -> None:
    app.include_router(router)
    app.mount("/docs/assets", StaticFiles(directory=str(swagger_ui_path)))
    app.mount("/static", StaticFiles(directory=str(files("api.page") / "static")))
