# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Server-sent events of one job or of all, with reconnection."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import httpx2

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._exceptions import APIConnectionError
from tsukiji.client._sync._transport import Transport

RECONNECT_SECONDS: Final = 1.0
RECONNECTS: Final = 5
"""Failed connections in a row, without an event between them, before giving up."""


def follow(transport: Transport, job_id: str, after: int) -> Iterator[types.JobEvent]:
    """Yield the events of a job whose id is above `after`, up to `done`.

    Raises:
        APIConnectionError: the connection broke too often in a row.
    """
    broken = 0
    while True:
        before = after
        try:
            for message, number in _listen(transport, path("jobs", job_id, "events"), after):
                # Progress is not in the history: it has no id and is never sent again.
                if message.data and (number > after or message.event == "progress"):
                    after, broken = max(after, number), 0
                    event = _read(message, number)
                    yield event
                    if event.event == "done":
                        return
        except APIConnectionError:
            broken += 1
            if broken > RECONNECTS:
                raise
        else:
            if after == before:
                job = transport.json("GET", path("jobs", job_id))
                if job["done"]:
                    return
        transport.sleep(RECONNECT_SECONDS)


def follow_all(
    transport: Transport, after: int | None, jobs: Sequence[str], kinds: Sequence[str]
) -> Iterator[types.Event]:
    """Yield the events of all jobs, or of some, until the caller stops.

    Raises:
        APIConnectionError: the connection broke too often in a row.
    """
    params = {"jobs": ",".join(jobs) or None, "kinds": ",".join(kinds) or None}
    broken = 0
    while True:
        try:
            for message, number in _listen(transport, path("events"), after, params):
                after, broken = max(after or 0, number), 0
                if message.data:
                    yield types.Event.model_validate(
                        {"id": number, "at": datetime.now(UTC), **json.loads(message.data)}
                    )
        except APIConnectionError:
            broken += 1
            if broken > RECONNECTS:
                raise
        transport.sleep(RECONNECT_SECONDS)


def _listen(
    transport: Transport, place: str, after: int | None, params: Mapping[str, Any] | None = None
) -> Iterator[tuple[httpx2.ServerSentEvent, int]]:
    """Yield messages, each with the id from which to continue."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(after)} if after else {})
    with transport.stream("GET", place, headers=headers, params=params or {}) as response:
        if response.status_code == 204:  # it has ended, and all events were sent
            return
        for message in httpx2.EventSource(response):
            yield message, int(message.id) if message.id.isdigit() else after or 0


def _read(message: httpx2.ServerSentEvent, number: int) -> types.JobEvent:
    """Parse the event, whether its data is the whole history entry or only that entry's data."""
    data = json.loads(message.data)
    whole = {"event", "data", "at"} <= data.keys()
    line = data if whole else {"event": message.event, "at": datetime.now(UTC), "data": data}
    return types.JobEvent.model_validate({"id": number, **line})
