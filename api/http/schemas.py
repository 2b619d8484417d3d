"""Parts of the OpenAPI document: bodies that the code reads itself, and the problem of every 4xx."""

from typing import Any, get_args

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from tsukiji.types import Act, BatchCreate, ImportCreate, ManifestLine
from tsukiji.types.batches import COVERAGES

PROBLEM: dict[str, Any] = {
    "description": "A problem (RFC 9457)",
    "content": {
        "application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": {
                "type": "/problems/not_found",
                "code": "not_found",
                "title": "Not found",
                "status": 404,
                "detail": "There is no data set 'sushi'.",
                "hint": "Check the id; lists show what exists.",
                "retriable": False,
                "request_id": "req_01kb0m9x2v8q4d6w0z3y7t5r1n",
            },
        }
    },
}
RESPONSES: dict[int | str, dict[str, Any]] = {"4XX": PROBLEM}
FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
TEXTS = {"type": "array", "items": {"type": "string"}}
TEXT = {"type": "string"}
OPTIONS: dict[str, dict[str, Any]] = {
    "top_k": {"type": "integer", "minimum": 1, "maximum": 100, "default": 3},
    "threshold": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
    "min_known": {"type": "number", "minimum": 0, "maximum": 1},
    "target_error": {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
    "confidence": {"type": "number", "minimum": 0.5, "maximum": 0.999, "default": 0.95},
    "prediction_set": {"type": "number", "enum": list(COVERAGES)},
    "tags": {"type": "boolean", "default": False},
    "heatmap": {"type": "string"},
    "priority": {"type": "integer", "minimum": 0, "maximum": 4, "default": 0},
    "deadline_seconds": {"type": "integer", "minimum": 1, "maximum": 2592000},
    "retention_days": {"type": "number", "minimum": 0, "maximum": 36500},
}


def body(**contents: dict[str, Any]) -> dict[str, Any]:
    """Return `openapi_extra` for a body of these kinds (keys of `types`)."""
    types = {
        "multipart": "multipart/form-data",
        "zip": "application/zip",
        "tar": "application/x-tar",
        "gzip": "application/gzip",
        "image": "image/*",
        "bytes": "application/octet-stream",
        "jsonl": "application/jsonl",
        "csv": "text/csv",
        "json": "application/json",
    }
    return {"requestBody": {"required": True, "content": {types[kind]: value for kind, value in contents.items()}}}


def form(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {"schema": {"type": "object", "required": required, "properties": properties}}


ACTS: dict[str, Any] = {
    "schema": {
        "oneOf": [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in get_args(Act)],
        "discriminator": {"propertyName": "act"},
    },
    "example": {"act": "relabel", "label": "tuna", "filter": {"label": "thuna"}},
}
BINARY = {"schema": {"type": "string", "format": "binary"}}
ARCHIVE = {"zip": BINARY, "tar": BINARY, "gzip": BINARY}


EVENTS: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "description": "One event",
            "required": ["event", "data"],
            "properties": {"id": TEXT, "event": TEXT, "data": TEXT | {"contentMediaType": "application/json"}},
        }
    }
}


def bytes_answer(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Return `responses` of a route that returns a file."""
    return {200: {"content": dict.fromkeys(media_types, BINARY), "description": "The file"}}


class Documented(FastAPI):
    """An application whose schema includes what no signature mentions."""

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            schema = super().openapi()
            template = "#/components/schemas/{model}"
            unseen = (BatchCreate, ImportCreate, ManifestLine, *get_args(Act))
            _, definitions = models_json_schema([(kind, "validation") for kind in unseen], ref_template=template)
            schema["components"]["schemas"] |= definitions["$defs"]
        return super().openapi()
