# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""The audit log of the service, for administrators."""

from datetime import datetime

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._sync._bound import Identified, Resource, id_of
from tsukiji.client._sync._pages import Paged


class Audit(Resource):
    def list(
        self,
        *,
        key: str | Identified | None = None,
        act: str | None = None,
        subject: str | Identified | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int | None = None,
    ) -> Paged[types.AuditEntry]:
        """List who did what, newest first.

        Args:
            key: only by this key, by its id or name.
            act: only this operation, such as `create_training`.
            subject: only what was done to this, by its id or the name that was used.
            since: only from then on.
            until: only before then.
            page_size: entries of one request.
        """
        choice = {"key": key and id_of(key), "act": act, "subject": subject and id_of(subject)}
        times = {name: moment and moment.isoformat() for name, moment in (("since", since), ("until", until))}
        return self._transport.paged(path("audit"), types.AuditEntry.model_validate, **choice, **times, limit=page_size)
