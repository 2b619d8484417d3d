"""Projects in responses."""

from api.serialize.records import columns
from db import models as rows
from tsukiji import types


def project(row: rows.Project) -> types.Project:
    known = {name: value for name, value in columns(row).items() if name != "stored_bytes"}  # it may be too high
    return types.Project.model_validate(known | {"default": row.id == rows.DEFAULT_PROJECT})
