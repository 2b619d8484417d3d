"""The audit log."""

from datetime import datetime
from typing import Literal

from tsukiji.types.base import Answer


class AuditEntry(Answer):
    """Who did what, when, from where."""

    object: Literal["audit_entry"] = "audit_entry"
    id: int
    at: datetime
    project: str = ""
    """Id of the project that it was done in."""
    key_id: str | None = None
    """Null for commands on the server."""
    name: str
    """Of the key at the time; for commands on the server, of the user."""
    act: str
    """The operation, as in the OpenAPI document."""
    subject: str | None = None
    """The id of what was created."""
    address: str
    """Method and path, with the ids of what was acted on; or the command."""
    client: str | None = None
    """The address that the request came from."""
    request_id: str | None = None
    """As in the log."""
