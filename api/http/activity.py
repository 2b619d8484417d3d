"""Events of all jobs as one stream of server-sent events, enough for a whole browser."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.concurrency import run_in_threadpool

from api.http.events import KEEPALIVE_SECONDS, PAGE, check_caller
from api.serialize import job_records
from api.services import Services
from api.watch import ACTIVITY, VALID, Topic
from db.jobs import activity
from db.jobs.activity import Choice
from db.models import ApiKey, Job, JobEvent
from db.session import Session
from tsukiji.errors import Unauthorized
from tsukiji.types import Event

LISTED: Final = 200
"""Most jobs whose state is sent at the start, and whose progress is sent."""
GAP_SECONDS: Final = 0.2
"""Between two reads; what happens meanwhile is sent together."""


@dataclass
class Listener:
    """One stream: what was sent to its client."""

    choice: Choice
    after: int | None
    """The id up to which all events were sent; None: the client wants new ones only."""
    told: set[int] = field(default_factory=set)
    """Ids of recent events that were sent already."""
    versions: dict[str, int] | None = None
    """Versions of the active jobs, as sent; None at the start."""

    def read(self, services: Services, caller: ApiKey) -> "News":
        """Return what is new.

        Raises:
            Unauthorized: the key was revoked meanwhile, or sees something else now.
        """
        with services.database.reading() as session:
            recent = activity.recent_ids(session)  # before the rows: what is committed in between is sent next time
            known = {
                ACTIVITY["events"]: sum(recent),
                ACTIVITY["work"]: activity.work_version(session),
                Topic("key", caller.id): VALID,
            }
            self._begin(recent)
            begun = self.after or 0
            rows, more = self._new_events(session, recent, begun)
            states = activity.by_id(session, {row.job_id for row in rows})
            events = [job_records.service_event(row, states[row.job_id]) for row in rows]
            at_work = self._changed(session, states)
            check_caller(session, caller)
            return News([encode(event, begun) for event in events], at_work, self.after or 0, known, more)

    def _begin(self, recent: list[int]) -> None:
        newest = recent[0] if recent else 0
        if self.after is None or self.after > newest:  # not ours, such as one from before a backup was restored
            self.after = newest
        self.told = self.told or {number for number in recent if number <= (self.after or 0)}

    def _new_events(self, session: Session, recent: list[int], after: int) -> tuple[list[JobEvent], bool]:
        """Return events that were not sent yet, late ones first, and whether there are more."""
        late = {number for number in recent if number <= after} - self.told
        rows = activity.events_of_ids(session, self.choice, late)
        rows += activity.events(session, self.choice, after, PAGE)
        more = len(rows) >= PAGE
        passed = late | {row.id for row in rows} | (set() if more else set(recent))
        self.after = max({after} | passed)
        self.told = set(sorted(self.told | passed)[-2 * activity.RECENT :])
        return rows, more

    def _changed(self, session: Session, states: dict[str, Job]) -> list[bytes]:
        """Return the progress of jobs that changed without an event; at the start, the state of all unfinished ones."""
        if self.versions is None:
            found = activity.unfinished(session, self.choice, LISTED)
            known: dict[str, int] = {}
        else:
            found = activity.unfinished(session, self.choice, LISTED, activity.AT_WORK)
            known = self.versions
        known = known | {job.id: job.version for job in states.values()}
        self.versions = {job.id: job.version for job in found}
        return [encode_progress(job) for job in found if known.get(job.id) != job.version]


@dataclass(frozen=True)
class News:
    events: list[bytes]
    progress: list[bytes]
    after: int
    known: dict[Topic, int]
    more: bool
    """There are more events already."""


async def follow_all(services: Services, caller: ApiKey, choice: Choice, after: int | None) -> AsyncIterator[bytes]:
    """Yield the events of all chosen jobs, and progress in between, until the server stops or the key is revoked.

    It reads only after the watch, which all held connections share, has seen a change.
    """
    listener = Listener(choice, after)
    first = True
    while not services.stopping.is_set():
        try:
            news = await run_in_threadpool(listener.read, services, caller)
        except Unauthorized:
            return
        for line in news.events + news.progress:
            yield line
        if first:
            yield format_sse_event(id=str(news.after))  # no event, but the id to resume from
            first = False
        if news.more:
            continue
        await asyncio.sleep(GAP_SECONDS)
        while not await services.watch.wait(news.known, KEEPALIVE_SECONDS):
            yield KEEPALIVE_COMMENT


def encode(event: Event, after: int) -> bytes:
    """Return the event; its id is the one to resume from, which a late event does not set back."""
    return format_sse_event(event=event.event, id=str(max(event.id, after)), data_str=event.model_dump_json())


def encode_progress(job: Job) -> bytes:
    """Progress is in the row, not in the history: it has no id and is not replayed."""
    state = job_records.job_state(job).model_dump_json()
    return format_sse_event(event="progress", data_str=f'{{"event":"progress","job":{state}}}')
