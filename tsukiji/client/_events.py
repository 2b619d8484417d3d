"""A job's events over SSE, taken up again where the line broke. Knows no meaning of an event."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import httpx2

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._exceptions import APIConnectionError
from tsukiji.client._transport import Transport

RECONNECT_SECONDS: Final = 1.0
RECONNECTS: Final = 5
"""Broken lines in a row, without an event between them, before giving up."""


def follow(transport: Transport, job_id: str, after: int) -> Iterator[types.JobEvent]:
    """Yield the events of a job whose id is above `after`, up to `done`.

    Raises:
        APIConnectionError: the line broke too often in a row.
    """
    broken = 0
    while True:
        before = after
        try:
            for event in _listen(transport, job_id, after):
                after, broken = max(after, event.id), 0
                yield event
                if event.event == "done":
                    return
        except APIConnectionError:
            broken += 1
            if broken > RECONNECTS:
                raise
        else:
            if after == before and transport.request("GET", path("jobs", job_id)).json()["done"]:
                return
        transport.sleep(RECONNECT_SECONDS)


def _listen(transport: Transport, job_id: str, after: int) -> Iterator[types.JobEvent]:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(after)} if after else {})
    with transport.stream("GET", path("jobs", job_id, "events"), headers=headers) as response:
        if response.status_code == 204:  # it has ended and everything was told
            return
        for message in httpx2.EventSource(response):
            number = int(message.id) if message.id.isdigit() else after
            # Progress is news, not history: it has no number of its own and is never sent again.
            if message.data and (number > after or message.event == "progress"):
                yield _read(message, number)


def _read(message: httpx2.ServerSentEvent, number: int) -> types.JobEvent:
    """Read the event whether its data is the whole line of history or only that line's data."""
    data = json.loads(message.data)
    whole = {"event", "data", "at"} <= data.keys()
    line = data if whole else {"event": message.event, "at": datetime.now(UTC), "data": data}
    return types.JobEvent.model_validate({"id": number, **line})
