"""People who sign in by the OpenID provider, and invitations."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from tsukiji.scopes import Role
from tsukiji.types.base import Answer, Request

Email = Annotated[str, Field(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$", examples=["anna@example.com"])]


class Person(Answer):
    """Someone who signs in by the provider."""

    object: Literal["person"] = "person"
    id: str
    email: str | None = None
    name: str | None = None
    subject: str
    """How the provider calls them."""
    project: str
    """Id of the project that the role is in."""
    role: Role
    claimed_role: Role | None = None
    """The role that the provider's claim gave in the default project, which only the provider can change."""
    key_id: str
    """What the audit log and jobs call them by."""
    created_at: datetime
    signed_in_at: datetime
    own: bool = False
    """Do they send this very request?"""


class PersonUpdate(Request):
    role: Role


class InvitationCreate(Request):
    """Lets someone in who shows this e-mail address, verified by the provider."""

    email: Email
    role: Role = "viewer"
    project: str | None = Field(None, max_length=200, description="Id or name; the caller's, if null.")
    expires_in_days: float = Field(7, gt=0, le=365)


class Invitation(Answer):
    object: Literal["invitation"] = "invitation"
    id: str
    email: str
    project: str
    """Id of the project that they are invited to."""
    role: Role
    created_at: datetime
    created_by: str
    """Id of the key that invited them."""
    expires_at: datetime
