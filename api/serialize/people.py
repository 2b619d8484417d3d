"""People and invitations in responses."""

from api.serialize.records import columns
from db import models as rows
from tsukiji import types
from tsukiji.scopes import role_of


def person(found: tuple[rows.Person, rows.ApiKey], caller: rows.ApiKey) -> types.Person:
    row, key = found
    facts = {"project": key.project_id, "role": role_of(key.scopes), "key_id": key.id, "own": key.id == caller.id}
    known = {name: value for name, value in columns(row).items() if name in types.Person.model_fields}
    return types.Person.model_validate(known | facts)


def invitation(row: rows.Invitation) -> types.Invitation:
    return types.Invitation.model_validate(columns(row) | {"project": row.project_id})
