"""Projects in responses."""

from api.serialize.records import columns
from db import models as rows
from tsukiji import types


def project(row: rows.Project) -> types.Project:
    return types.Project.model_validate(columns(row) | {"default": row.id == rows.DEFAULT_PROJECT})
