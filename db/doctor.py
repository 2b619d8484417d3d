"""`python -m db.doctor`: look at what the programs of a service need on this machine, a JSON line for each.

Settings, database, store, broker, folders, port. `tsukiji doctor` runs it where the programs are installed. It changes
nothing but a temporary file in the store.
"""

import contextlib
import json
import socket
import sys
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from sqlalchemy import make_url, select

from db import keys
from db.blobs import newest
from db.clock import now
from db.jobs import workers
from db.session import Database, Session
from db.upgrade import revision_of
from tsukiji.errors import ClockSkew, Invalid, ProviderInvalid, ProviderUnreachable, TsukijiError
from tsukiji.kernel import exposure
from tsukiji.kernel.queue import Notifier, create_app
from tsukiji.kernel.settings import Settings, load
from tsukiji.kernel.storage import open_store
from tsukiji.types.diagnoses import Diagnosis, fine, problem, warning

MOUNTS: Final = Path("/proc/mounts")
NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "lustre"}
)
"""File systems without dependable locks."""
PRESENT_SECONDS: Final = 60
SAMPLE: Final = 20
"""Newest blobs that must be in the store."""
MISSING: Final = 0.5
"""With more of them missing, it is another store."""
PORT_SECONDS: Final = 2
PROVIDER_SECONDS: Final = 10


def main() -> int:
    """Print what is found; returns 0 unless something is wrong."""
    found = []
    for one in look():
        found.append(one)
        sys.stdout.write(one.model_dump_json() + "\n")
        sys.stdout.flush()
    return 0 if all(one.ok for one in found) else 1


def look() -> Iterator[Diagnosis]:
    try:
        settings = load()
    except Invalid as error:
        yield problem("settings", error.detail, error.hint or "")
        return
    yield from timing(settings)
    yield listening(settings)
    yield port(settings)
    yield from provider(settings)
    yield from database(settings)
    yield broker(settings)
    yield cache(settings)


def timing(settings: Settings) -> Iterator[Diagnosis]:
    lease, beat = settings.jobs.lease_seconds, settings.jobs.beat_seconds
    if lease < 2 * beat:
        detail = f"TSUKIJI_JOBS_LEASE_SECONDS={lease:g} is less than two beats of {beat:g} s"
        yield problem("leases", detail, "Work would be lost while it runs: use a lease of three beats or more.")


def listening(settings: Settings) -> Diagnosis:
    host = settings.api.host
    try:
        exposure.check(host, settings.api)
    except Invalid as error:
        return problem("tls", error.detail, error.hint or "")
    return fine("tls", "loopback only" if exposure.is_loopback(host) else f"on {host}, with TLS or a declared proxy")


def port(settings: Settings) -> Diagnosis:
    """Is the port free, or the service's own?"""
    host, number = settings.api.host, settings.api.port
    host = host if exposure.is_loopback(host) else "127.0.0.1"
    try:
        with socket.create_connection((host, number), PORT_SECONDS):
            pass
    except OSError:
        return fine("port", f"{number} is free")
    try:
        scheme = "https" if settings.api.tls_key else "http"
        with urlopen(f"{scheme}://{host}:{number}/livez", timeout=PORT_SECONDS) as answer:  # noqa: S310 - our own address
            ours = answer.read(100) == b'{"status":"ok"}'
    except (URLError, OSError, ValueError):
        ours = scheme == "https"  # its certificate is for another name
    if ours:
        return fine("port", f"{number} is the service's")
    return problem("port", f"{number} is taken by another program", "Stop it, or set TSUKIJI_API_PORT.")


def provider(settings: Settings) -> Iterator[Diagnosis]:
    """Does the OpenID provider answer, as what it is set as, at about our time?"""
    issuer = settings.oidc.issuer
    if issuer is None:
        return
    try:
        document = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        with urlopen(document, timeout=PROVIDER_SECONDS) as answer:  # noqa: S310 - https, or this machine
            named, told = json.load(answer)["issuer"], answer.headers["date"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        yield problem("provider", f"{issuer}: {first_line(error)}", ProviderUnreachable.hint or "")
        return
    if str(named).rstrip("/") != issuer.rstrip("/"):
        yield problem("provider", f"it calls itself {str(named)[:200]!r}, not {issuer!r}", ProviderInvalid.hint or "")
        return
    off = abs(datetime.now(UTC) - parsedate_to_datetime(told)).total_seconds() if told else 0
    if off > settings.oidc.leeway_seconds + 1:
        yield problem("provider", f"its clock differs by {off:.0f} s", ClockSkew.hint or "")
    else:
        yield fine("provider", issuer)


# --- database and store ----------------------------------------------------------------------------------------------


def database(settings: Settings) -> Iterator[Diagnosis]:
    url = make_url(settings.database_url)
    place = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite":
        file = Path(url.database or "")
        if (kind := file_system(file)) in NETWORK:
            hint = "SQLite needs a local disk: set TSUKIJI_DATA_DIR to one, or TSUKIJI_DATABASE_URL to PostgreSQL."
            yield problem("database place", f"{file} is on a network share ({kind})", hint)
        if not file.is_file():
            yield warning("database", f"there is none at {file}", "`tsukiji up` makes it, or check TSUKIJI_DATA_DIR.")
            yield from store(settings, None)
            return
    opened = Database(settings)
    try:
        with opened.reading() as session:
            yield fine("database", place)
            current = yield from schema(session)
            yield from store(settings, session if current else None)
            if current:
                yield from rows(settings, session, embedded=url.get_backend_name() == "sqlite")
    except Exception as error:  # noqa: BLE001 - a driver fails in many ways, and all are told
        yield problem("database", f"{place}: {first_line(error)}", way_in(str(error)))
        yield from store(settings, None)
    finally:
        opened.close()


def way_in(error: str) -> str:
    """Return the way out of a database's refusal."""
    if "password" in error or "role" in error or "authentication" in error:
        return "Check the user and the password in TSUKIJI_DATABASE_URL, or PGPASSWORD."
    if "does not exist" in error:
        return "Create the database (`createdb`), or check its name in TSUKIJI_DATABASE_URL."
    if "not a database" in error or "malformed" in error:
        return "The file is damaged: restore it from a backup."
    return "Start the database, or check host and port in TSUKIJI_DATABASE_URL."


def first_line(error: Exception) -> str:
    return str(getattr(error, "orig", error)).strip().partition("\n")[0][:300]


def schema(session: Session) -> Generator[Diagnosis, None, bool]:
    """Compare the database's schema with the code's; returns whether they agree."""
    revision = revision_of(session.connection())
    found, head = revision.found, revision.head
    if found == head:
        yield fine("schema", f"{found}")
    elif found is None or found in revision.known:
        yield problem("schema", f"{found or 'empty'}, the code needs {head}", "Migrate it: `python -m db upgrade`.")
    else:
        hint = "A newer version has migrated it: install that version here as well."
        yield problem("schema", f"{found} is newer than the code, which has {head}", hint)
    return found == head


def store(settings: Settings, session: Session | None) -> Iterator[Diagnosis]:
    try:
        opened = open_store(settings)
        opened.check()
    except TsukijiError as error:
        yield problem("store", f"{settings.storage_url}: {error.detail}", way_to_store(settings.storage_url, error))
        return
    except OSError as error:
        yield problem("store", f"{settings.storage_url}: {error}", way_to_store(settings.storage_url, error))
        return
    hashes = newest(session, SAMPLE) if session else []
    missing = sum(not opened.exists(sha256) for sha256 in hashes)
    if missing > MISSING * len(hashes):
        detail = f"{settings.storage_url} lacks {missing} of the {len(hashes)} newest files that the database knows"
        yield problem("store", detail, "API and workers need one store: set the same TSUKIJI_STORAGE_URL for all.")
    else:
        yield fine("store", settings.storage_url)


def way_to_store(url: str, error: Exception) -> str:
    if not url.startswith("s3://"):
        return "Its folder must be writable by the user who runs the service, with space left."
    text = str(error)
    if "NoSuchBucket" in text or "404" in text:
        return "The bucket does not exist: create it, or check TSUKIJI_STORAGE_URL."
    if "301" in text or "Redirect" in text or "region" in text.lower():
        return "The bucket is in another region: set AWS_DEFAULT_REGION to it."
    if "403" in text or "credentials" in text.lower():
        return "The keys may not use the bucket: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and its policy."
    return "Check TSUKIJI_STORAGE_ENDPOINT_URL, and whether the server runs."


def rows(settings: Settings, session: Session, *, embedded: bool) -> Iterator[Diagnosis]:
    theirs = session.scalar(select(now())) or datetime.now(UTC)
    skew = abs((theirs - datetime.now(UTC)).total_seconds())
    if skew > settings.jobs.lease_seconds / 3:
        hint = "Leases count by the database's clock; set both by NTP, so that logs and dates agree."
        yield problem("clock", f"this machine and the database differ by {skew:.0f} s", hint)
    else:
        yield fine("clock", f"within {max(skew, 0.1):.1f} s of the database's")
    if not keys.any_valid(session):
        yield problem("keys", "no key is valid", "All expired or were revoked: `tsukiji keys create --name NAME`.")
    hosts = {host_of(row.worker) for row in workers.present(session, PRESENT_SECONDS)}
    if embedded and len(hosts) > 1:
        hint = "SQLite is for one machine: stop the other service, or set TSUKIJI_DATABASE_URL to PostgreSQL."
        yield problem("one service", f"programs of {', '.join(sorted(hosts))} use this data folder", hint)


def host_of(worker: str) -> str:
    """Return the machine in a worker's name, `role@host:...`."""
    return worker.partition("@")[2].partition(":")[0]


def file_system(path: Path) -> str | None:
    """Return the type of the file system that a path is on; None where that cannot be told."""
    with contextlib.suppress(OSError):
        lines = [line.split() for line in MOUNTS.read_text("utf-8", "replace").splitlines()]
        parents = {str(folder) for folder in (path, *path.parents)}
        mounted = [(len(fields[1]), fields[2]) for fields in lines if len(fields) > 2 and fields[1] in parents]
        return max(mounted)[1] if mounted else None
    return None


# --- the rest --------------------------------------------------------------------------------------------------------


def broker(settings: Settings) -> Diagnosis:
    parts = urlsplit(settings.broker_url)
    place = f"{parts.scheme}://{parts.hostname or parts.path}" + (f":{parts.port}" if parts.port else "")
    try:
        Notifier(create_app(settings)).check()
    except (TsukijiError, OSError) as error:
        hint = "Start it, or check TSUKIJI_BROKER_URL. Until then work begins late."
        return problem("broker", f"{place}: {first_line(error)}", hint)
    if parts.scheme.startswith("redis") and (lost := volatile(settings.broker_url)):
        hint = "Nothing is lost, but after a restart waiting work begins late: set `appendonly yes`, `noeviction`."
        return warning("broker", f"{place}: {lost}", hint)
    return fine("broker", place)


def volatile(url: str) -> str | None:
    """Return how a Redis server forgets messages; None if it does not, or does not say."""
    import redis  # noqa: PLC0415 - an optional extra

    with contextlib.suppress(redis.RedisError), redis.Redis.from_url(url, socket_timeout=PORT_SECONDS) as client:
        names = ("save", "appendonly", "maxmemory-policy")
        asked = {name: str(client.config_get(name).get(name, "")) for name in names}
        if not asked["save"] and asked["appendonly"] != "yes":
            return "keeps nothing on disk"
        if asked["maxmemory-policy"] not in {"", "noeviction"}:
            return f"evicts when memory is short ({asked['maxmemory-policy']})"
    return None


def cache(settings: Settings) -> Diagnosis:
    folder = settings.cache_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".doctor"
        probe.touch()
        probe.unlink()
    except OSError as error:
        hint = "Set TSUKIJI_STORAGE_CACHE_DIR to a folder that the user of the service may write to."
        return problem("cache", f"{folder}: {error}", hint)
    return fine("cache", str(folder))


if __name__ == "__main__":
    sys.exit(main())
