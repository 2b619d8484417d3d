# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""People who sign in by the OpenID provider, and invitations."""

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._sync._bound import Identified, Resource, id_of
from tsukiji.client._sync._pages import Paged
from tsukiji.scopes import Role


class People(Resource):
    def list(self, *, page_size: int | None = None) -> Paged[types.Person]:
        """List who signs in by the provider, newest first."""
        return self._transport.paged(path("people"), types.Person.model_validate, limit=page_size)

    def set_role(self, person: str | Identified, role: Role) -> types.Person:
        """Change a person's role: `viewer`, `labeller`, `editor` or `admin`.

        Raises:
            ConflictError: the provider's claim gives it, it is your own, or no `admin` would be left.
        """
        return self._transport.fetch(types.Person, "PATCH", path("people", id_of(person)), json={"role": role})

    def remove(self, person: str | Identified, *, own: bool = False, created: bool = False) -> None:
        """Remove a person and end their sessions; `created` also ends keys and invitations that they made.

        Raises:
            ConflictError: they are this client's key and `own` was not given, or no `admin` would be left.
        """
        self._transport.request("DELETE", path("people", id_of(person)), params={"own": own, "created": created})

    def invite(self, email: str, *, role: Role = "viewer", expires_in_days: float = 7) -> types.Invitation:
        """Let in who signs in with this address, once; nothing is sent."""
        body = {"email": email, "role": role, "expires_in_days": expires_in_days}
        return self._transport.fetch(types.Invitation, "POST", path("invitations"), json=body)

    def invitations(self, *, page_size: int | None = None) -> Paged[types.Invitation]:
        """List the invitations that were not accepted, newest first."""
        return self._transport.paged(path("invitations"), types.Invitation.model_validate, limit=page_size)

    def withdraw(self, invitation: str | Identified) -> None:
        """Withdraw an invitation."""
        self._transport.request("DELETE", path("invitations", id_of(invitation)))
