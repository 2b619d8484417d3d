# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Projects: what belongs to one is, for the keys of another, as if it were not there."""

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._sync._bound import Identified, Resource, id_of
from tsukiji.client._sync._pages import Paged


class Projects(Resource):
    def create(
        self,
        name: str,
        *,
        requests_per_minute: int | None = None,
        pictures_per_day: int | None = None,
        max_stored_bytes: int | None = None,
    ) -> types.Project:
        """Create an empty project; `keys.create(name, project=...)` creates its first key.

        Args:
            name: no other project has it.
            requests_per_minute: of all its keys together; None: no limit.
            pictures_per_day: to classify or take in; None: no limit.
            max_stored_bytes: of pictures, models, results and uploads in the store; None: no limit.
        """
        quotas = {"requests_per_minute": requests_per_minute, "pictures_per_day": pictures_per_day}
        body = {"name": name, **quotas, "max_stored_bytes": max_stored_bytes}
        return self._transport.fetch(types.Project, "POST", path("projects"), json=body)

    def list(self, *, page_size: int | None = None) -> Paged[types.Project]:
        """List the projects by name; keys of other projects than the default one see their own."""
        return self._transport.paged(path("projects"), types.Project.model_validate, limit=page_size)

    def get(self, project: str | Identified) -> types.Project:
        return self._transport.fetch(types.Project, "GET", path("projects", id_of(project)))

    def update(self, project: str | Identified, **changes: str | int | None) -> types.Project:
        """Change `name`, `requests_per_minute`, `pictures_per_day` or `max_stored_bytes`; None removes a quota."""
        return self._transport.fetch(types.Project, "PATCH", path("projects", id_of(project)), json=changes)

    def delete(self, project: str | Identified, *, confirm: str | None = None) -> None:
        """Delete it with its keys; if there is anything else in it, `confirm` must be its name.

        Raises:
            ConflictError: it is not empty, or jobs of it are being cancelled: repeat the call then.
        """
        params = {"confirm": confirm} if confirm is not None else {}
        self._transport.request("DELETE", path("projects", id_of(project)), params=params)
