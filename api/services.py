"""Shared by requests: database, store, notifier, and the shutdown signal."""

import copy
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.to_thread
from prometheus_client import CollectorRegistry

from api.metrics import registry_of
from api.poll_pacing import PollPacer
from api.predict_rpc import PredictClient
from api.watch import ACTIVITY, VALID, Topic, Watch
from db import keys
from db.audit import Actor
from db.jobs import activity, jobs
from db.models import ApiKey
from db.parts.files import PartStore
from db.session import Database
from db.views import View, view_of
from tsukiji.errors import ProviderNotSet
from tsukiji.ingest.outputs import Outputs
from tsukiji.ingest.sources import Sources
from tsukiji.kernel.cores import usable_cores
from tsukiji.kernel.queue import Notifier, create_app
from tsukiji.kernel.settings import Settings
from tsukiji.kernel.storage import BlobStore, open_store
from tsukiji.vision.decoding.decode import DecodeLimits
from tsukiji.vision.thumbnail_cache import Thumbnails

if TYPE_CHECKING:
    from api.openid import Provider

MAX_HOLDS = 2000
"""Most connections held open at once, for `Prefer: wait` or for events."""
DECODERS: Final = 2 * usable_cores() + 2
"""Concurrent decoding requests, each in a thread; some of them always wait for a disk."""
SIGN_INS: Final = 8
"""Concurrent conversations with the OpenID provider, which may be slow, each in a thread."""

R = TypeVar("R")


@dataclass
class Held:
    """Counts of connections that are held open; changed only in the event loop's thread, so no lock is needed."""

    holds: int = 0
    streams: int = 0


@dataclass
class Services:
    """One per application, created at startup; requests get it as their key sees it."""

    settings: Settings
    database: Database
    store: BlobStore
    notifier: Notifier
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set at shutdown: held connections are released."""
    held: Held = field(default_factory=Held)
    predict_client: PredictClient = field(default_factory=PredictClient)
    poll_pacer: PollPacer = field(default_factory=PollPacer)
    decoders: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(DECODERS))
    checkers: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(usable_cores()))
    sign_ins: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(SIGN_INS))

    def __post_init__(self) -> None:
        self.watch = Watch(self._look)  # of all rows: only what was seen is waited for

    def of_caller(self, key: ApiKey, actor: Actor | None) -> "Services":
        """Return these services with a database in which this key finds what it may see, and acts as `actor`."""
        view = view_of(key)
        if view is None and actor is None:
            return self
        theirs = copy.copy(self)
        theirs.database = self.database.seen_by(view, actor)
        return theirs

    def inside(self, project_id: str) -> "Services":
        """Return these services with a database in which there is only what a project has, and no actor."""
        theirs = copy.copy(self)
        theirs.database = self.database.seen_by(View(project=project_id))
        return theirs

    def _look(self, topics: Collection[Topic]) -> dict[Topic, int]:
        if self.stopping.is_set():
            return {}  # all connections are released
        job_ids, histories, key_ids = ([t.id for t in topics if t.what == what] for what in ("job", "history", "key"))
        with self.database.reading() as session:
            found = {Topic("job", job): version for job, version in jobs.versions(session, job_ids).items()}
            if histories or key_ids:  # needed only for event streams
                found |= {Topic("history", job): last for job, last in jobs.last_events(session, histories).items()}
                found |= {Topic("key", key): VALID for key in keys.valid(session, key_ids)}
            if ACTIVITY["events"] in topics:
                found[ACTIVITY["events"]] = sum(activity.recent_ids(session))
                found[ACTIVITY["work"]] = activity.work_version(session)
        return found

    @cached_property
    def thumbnails(self) -> Thumbnails:
        return Thumbnails(self.settings.cache_dir / "thumbnails.db", self.settings.api.thumbnails_mb * 2**20)

    @cached_property
    def sources(self) -> Sources:
        """What results that were not copied are read from again."""
        return Sources(self.settings)

    @cached_property
    def files(self) -> PartStore:
        """Where lists and parts of batches are."""
        return PartStore(self.store, Outputs(self.settings))

    @cached_property
    def metrics(self) -> CollectorRegistry:
        """What `/metrics` shows."""
        return registry_of(self.database, self.settings)

    @cached_property
    def provider(self) -> "Provider":
        """The OpenID provider.

        Raises:
            ProviderNotSet
        """
        if not self.settings.oidc.issuer:
            raise ProviderNotSet("This service has no OpenID provider.")
        from api.openid import Provider  # noqa: PLC0415 - takes a third of a second, and few services need it

        return Provider(self.settings.oidc)

    @property
    def decode_limits(self) -> DecodeLimits:
        return DecodeLimits.of(self.settings.limits)

    async def decoding(self, act: Callable[..., R], *args: object) -> R:
        """Run something that decodes pictures in a separate, small thread pool, so that other requests never wait."""
        return await anyio.to_thread.run_sync(act, *args, limiter=self.decoders)

    async def checking(self, act: Callable[..., R], *args: object) -> R:
        """Run the check of an untrusted package, which occupies a core: at most one per core at once."""
        return await anyio.to_thread.run_sync(act, *args, limiter=self.checkers)

    async def signing_in(self, act: Callable[..., R], *args: object) -> R:
        """Run a conversation with the OpenID provider: while it is slow, only those who sign in wait."""
        return await anyio.to_thread.run_sync(act, *args, limiter=self.sign_ins)

    @contextmanager
    def hold(self) -> Iterator[bool]:
        """Count a held connection; False if there are too many, and the caller must not wait."""
        self.held.holds += 1
        try:
            yield self.held.holds <= MAX_HOLDS
        finally:
            self.held.holds -= 1

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Count a client that follows a job, and its held connection."""
        with self.hold():
            self.held.streams += 1
            try:
                yield
            finally:
                self.held.streams -= 1


def open_services(settings: Settings) -> Services:
    return Services(settings, Database(settings), open_store(settings), Notifier(create_app(settings)))
