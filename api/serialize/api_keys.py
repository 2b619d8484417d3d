"""API keys in responses: the secret only once, at creation."""

from api.serialize.records import columns
from db import models as rows
from tsukiji import types


def key(row: rows.ApiKey, caller: rows.ApiKey) -> types.Key:
    known = {name: value for name, value in columns(row).items() if name in types.Key.model_fields}
    return types.Key.model_validate(known | {"project": row.project_id, "own": row.id == caller.id})


def created_key(row: rows.ApiKey, caller: rows.ApiKey, secret: str) -> types.KeyCreated:
    return types.KeyCreated.model_validate(key(row, caller).model_dump() | {"key": secret})
