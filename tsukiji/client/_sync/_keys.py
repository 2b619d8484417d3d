# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""API keys of the service."""

from collections.abc import Sequence

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._sync._bound import Identified, Resource, id_of
from tsukiji.client._sync._pages import Paged
from tsukiji.scopes import Scope


class Keys(Resource):
    def create(
        self,
        name: str,
        *,
        scopes: Sequence[Scope] = ("admin",),
        datasets: Sequence[str | Identified] = (),
        models: Sequence[str | Identified] = (),
        expires_in_days: float | None = None,
        requests_per_minute: int | None = None,
        pictures_per_day: int | None = None,
        project: str | Identified | None = None,
    ) -> types.KeyCreated:
        """Create a key; its secret is in `key`, and shown this once.

        Args:
            name: who or what uses it.
            scopes: what it may do: `predict`, `read`, `label`, `train`, `admin` (everything).
            datasets: the only data sets it sees.
            models: the only models it sees, beside those trained on `datasets`; an alias follows its model.
            expires_in_days: None: never.
            requests_per_minute: None: as the service's settings say.
            pictures_per_day: to classify or take in; None: no limit.
            project: None: that of this client's key; only administrators of the default project name another.
        """
        body: dict[str, object] = {"name": name, "scopes": [*scopes], "expires_in_days": expires_in_days}
        body |= {"requests_per_minute": requests_per_minute, "pictures_per_day": pictures_per_day}
        body |= {"project": project and id_of(project)}
        body |= {"datasets": [id_of(one) for one in datasets], "models": [id_of(one) for one in models]}
        return self._transport.fetch(types.KeyCreated, "POST", path("keys"), json=body)

    def get_own(self) -> types.Key:
        """Get this client's key: what it may do and see."""
        return self._transport.fetch(types.Key, "GET", path("keys", "self"))

    def rotate(self, key: str | Identified, *, overlap_hours: float = 24) -> types.KeyCreated:
        """Give a key another secret, shown this once; the present one works for `overlap_hours` more."""
        body = {"overlap_hours": overlap_hours}
        return self._transport.fetch(types.KeyCreated, "POST", path("keys", id_of(key), "rotate"), json=body)

    def list(self, *, page_size: int | None = None) -> Paged[types.Key]:
        """List all keys, newest first, without secrets."""
        return self._transport.paged(path("keys"), types.Key.model_validate, limit=page_size)

    def revoke(self, key: str | Identified, *, own: bool = False, created: bool = False) -> None:
        """Revoke a key; `own` also this client's, `created` also those that were created with it.

        Raises:
            ConflictError: it is this client's key and `own` was not given, or no `admin` would be left.
        """
        self._transport.request("DELETE", path("keys", id_of(key)), params={"own": own, "created": created})
