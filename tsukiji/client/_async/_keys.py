"""API keys of the service."""

from tsukiji import types
from tsukiji.client._async._bound import Identified, Resource, id_of
from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._base import path


class Keys(Resource):
    async def create(self, name: str) -> types.KeyCreated:
        """Create a key; its secret is in `key`, and shown this once."""
        return await self._transport.fetch(types.KeyCreated, "POST", path("keys"), json={"name": name})

    def list(self, *, page_size: int | None = None) -> AsyncPaged[types.Key]:
        """List all keys, newest first, without secrets."""
        return self._transport.paged(path("keys"), types.Key.model_validate, limit=page_size)

    async def revoke(self, key: str | Identified, *, own: bool = False, created: bool = False) -> None:
        """Revoke a key; `own` also this client's, `created` also those that were created with it.

        Raises:
            ConflictError: it is this client's key and `own` was not given, or no key would be left.
        """
        await self._transport.request("DELETE", path("keys", id_of(key)), params={"own": own, "created": created})
