# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""People who sign in by the OpenID provider, and invitations."""

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._sync._bound import Identified, Resource, id_of
from tsukiji.client._sync._pages import Paged
from tsukiji.scopes import Role


class People(Resource):
    """`project`, an id or name, is for administrators of the default project; by default it is the client's own."""

    def list(self, *, project: str | None = None, page_size: int | None = None) -> Paged[types.Person]:
        """List who signs in by the provider, newest first."""
        return self._transport.paged(path("people"), types.Person.model_validate, limit=page_size, project=project)

    def set_role(self, person: str | Identified, role: Role, *, project: str | None = None) -> types.Person:
        """Change a person's role: `viewer`, `labeller`, `editor` or `admin`.

        Raises:
            ConflictError: the provider's claim gives it, it is your own, or no `admin` would be left.
        """
        place, params = path("people", id_of(person)), {"project": project}
        return self._transport.fetch(types.Person, "PATCH", place, params=params, json={"role": role})

    def remove(
        self, person: str | Identified, *, own: bool = False, created: bool = False, project: str | None = None
    ) -> None:
        """Remove a person and end their sessions; `created` also ends keys and invitations that they made.

        Raises:
            ConflictError: they are this client's key and `own` was not given, or no `admin` would be left.
        """
        params = {"own": own, "created": created, "project": project}
        self._transport.request("DELETE", path("people", id_of(person)), params=params)

    def invite(
        self, email: str, *, role: Role = "viewer", expires_in_days: float = 7, project: str | None = None
    ) -> types.Invitation:
        """Let in who signs in with this address, once; nothing is sent."""
        body = {"email": email, "role": role, "expires_in_days": expires_in_days, "project": project}
        return self._transport.fetch(types.Invitation, "POST", path("invitations"), json=body)

    def invitations(self, *, project: str | None = None, page_size: int | None = None) -> Paged[types.Invitation]:
        """List the invitations that were not accepted, newest first."""
        place = path("invitations")
        return self._transport.paged(place, types.Invitation.model_validate, limit=page_size, project=project)

    def withdraw(self, invitation: str | Identified, *, project: str | None = None) -> None:
        """Withdraw an invitation."""
        params = {"project": project}
        self._transport.request("DELETE", path("invitations", id_of(invitation)), params=params)
