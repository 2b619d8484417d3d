"""`python -m db`: migrations, API keys, backups, and verification of the store, for operators with access to both."""

import argparse
import getpass
import json
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import inspect

from db import backups, keys, projects
from db.audit import Actor
from db.copying import copy_database
from db.models import DEFAULT_PROJECT, ApiKey, Blob
from db.reconciliation import Reconciliation, reconcile
from db.retention_preview import Due, preview
from db.session import Database, Session
from db.upgrade import upgrade
from db.views import View, view_of_project
from tsukiji.errors import Invalid, NotFound, TsukijiError
from tsukiji.kernel.browser import ADDRESS_FILE, sign_in_path
from tsukiji.kernel.settings import Settings, load
from tsukiji.kernel.storage import open_store
from tsukiji.scopes import SCOPES
from tsukiji.types import KeyCreate, KeyRotate

Model = TypeVar("Model", bound=BaseModel)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m db", description=__doc__)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("upgrade", help="migrate the database to the current schema").set_defaults(act=migrate)
    add_key_commands(commands.add_parser("keys", help="API keys").add_subparsers(required=True))
    link = commands.add_parser("sign-in-link", help="make a link that signs in to the page once")
    link.add_argument("--json", action="store_true")
    link.set_defaults(act=create_sign_in_link)
    listing = commands.add_parser("retention", help="show what the dispatcher deletes next")
    listing.add_argument("--dry-run", action="store_true", help="delete nothing, as always")
    listing.add_argument("--days", type=float, default=0, help="also what falls due within this many days")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(act=show_retention)
    copying = commands.add_parser("copy", help="copy all rows into another, empty database")
    copying.add_argument("--to", required=True, metavar="URL", help="the other database: postgresql://...")
    copying.add_argument("--json", action="store_true")
    copying.set_defaults(act=copy_rows)
    add_backup_commands(commands)
    add_verify_command(commands.add_parser("verify", help="compare the store with the database"))
    options = parser.parse_args(arguments)
    try:
        options.act(load(), options)
    except TsukijiError as error:
        print(f"{error.detail} {error.hint or ''}".strip(), file=sys.stderr)  # noqa: T201 - a program's answer
        return 4
    return 0


def add_key_commands(commands: Any) -> None:
    make = commands.add_parser("create", help="create a key; it is shown once")
    make.add_argument("--name", default="key")
    make.add_argument("--scope", action="append", choices=SCOPES, help="what it may do; repeatable; default: admin")
    make.add_argument("--dataset", action="append", default=[], help="the only data set it sees; repeatable")
    make.add_argument("--model", action="append", default=[], help="the only model or alias it sees; repeatable")
    make.add_argument("--expires", type=float, metavar="DAYS", help="days until it stops working; default: never")
    make.add_argument("--requests-per-minute", type=int, help="its own rate; default: as the settings say")
    make.add_argument("--pictures-per-day", type=int, help="its own quota; default: none")
    make.add_argument("--project", help="the project's id or name; default: the default one")
    renewing = commands.add_parser("rotate", help="give a key another secret; it is shown once")
    renewing.add_argument("key", help="the key's id or its first eight characters")
    renewing.add_argument("--overlap-hours", type=float, default=24, help="how long the present secret still works")
    listing = commands.add_parser("ls", help="list the keys")
    ending = commands.add_parser("revoke", help="revoke a key")
    ending.add_argument("key", help="the key's id or its first eight characters")
    acts = ((make, create_key), (renewing, rotate_key), (listing, list_keys), (ending, revoke_key))
    for parser, act in acts:
        parser.add_argument("--json", action="store_true")
        parser.set_defaults(act=act)


def add_backup_commands(commands: Any) -> None:
    making = commands.add_parser("backup", help="copy rows and blobs to a folder or bucket; the service may run")
    making.add_argument("place", help="a folder, or s3://bucket/prefix")
    making.add_argument("--keep", type=int, metavar="N", help="delete all but the N newest there; default: none")
    restoring = commands.add_parser("restore", help="copy a backup into an empty database and the store")
    restoring.add_argument("place", help="the place of `backup`")
    restoring.add_argument("--backup", metavar="NAME", help="such as 2026-01-31T020000-000; default: the newest")
    for parser, act in ((making, back_up), (restoring, restore)):
        parser.add_argument("--endpoint-url", help="S3-compatible server of the place; default: the service's")
        parser.add_argument("--json", action="store_true")
        parser.set_defaults(act=act)


def add_verify_command(parser: Any) -> None:
    parser.add_argument("--place", help="check a backup there instead of the store, and delete nothing")
    parser.add_argument("--backup", metavar="NAME", help="which one; default: the newest")
    parser.add_argument("--endpoint-url", help="S3-compatible server of the place; default: the service's")
    parser.add_argument("--dry-run", action="store_true", help="delete nothing")
    parser.add_argument("--read", action="store_true", help="read and hash all bytes")
    parser.add_argument(
        "--trust-database",
        action="store_true",
        help="delete what the database does not know, even if that is most of it",
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(act=verify)


def migrate(settings: Settings, _options: argparse.Namespace) -> None:
    upgrade(settings)


def copy_rows(settings: Settings, options: argparse.Namespace) -> None:
    target = settings.model_copy(update={"database": settings.database.model_copy(update={"url": options.to})})
    for name, copied in copy_database(settings, target):
        show({"table": name, "rows": copied}, options, f"{name}: {copied:,}")


def back_up(settings: Settings, options: argparse.Namespace) -> None:
    """Make a backup.

    Raises:
        NotFound: there is no database.
        SystemExit: it is as damaged as the service's own store.
    """
    place = backups.place_of(settings, options.place, options.endpoint_url)
    with backups.opened(settings) as database:
        check_schema(database)
    if options.keep is not None and options.keep < 1:
        raise Invalid("--keep is at least 1.")
    (made,) = deque(backups.back_up(settings, place), maxlen=1)
    name = made.name.removesuffix(".json")
    size = f"{made.blobs:,} blobs, {made.bytes / 2**20:,.1f} MiB"
    damaged = [f"damaged in the service's own store: {sha256}" for sha256 in made.damaged]
    show({"backup": name, **made.model_dump(mode="json")}, options, "\n".join([f"{name}: {size}", *damaged]))
    if made.damaged:
        raise SystemExit(1)  # and no older one is deleted
    if options.keep:
        backups.prune(place, options.keep)


def restore(settings: Settings, options: argparse.Namespace) -> None:
    place = backups.place_of(settings, options.place, options.endpoint_url)
    counts = dict(backups.restore(place, settings, options.backup))
    show(counts, options, "\n".join(f"{name}: {copied:,}" for name, copied in counts.items()))


def create_key(settings: Settings, options: argparse.Namespace) -> None:
    given = {"name": options.name, "datasets": options.dataset, "models": options.model}
    given |= {"expires_in_days": options.expires, "requests_per_minute": options.requests_per_minute}
    given |= {"pictures_per_day": options.pictures_per_day, "project": options.project}
    body = checked(KeyCreate, given | ({"scopes": options.scope} if options.scope else {}))

    def act(session: Session) -> None:
        key, secret = keys.issue(session, body)
        show(describe(key) | {"key": secret}, options, secret)

    within(settings, options, act, options.project or DEFAULT_PROJECT)


def rotate_key(settings: Settings, options: argparse.Namespace) -> None:
    body = checked(KeyRotate, {"overlap_hours": options.overlap_hours})

    def act(session: Session) -> None:
        key, secret = keys.rotate(session, options.key, body.overlap_hours)
        show(describe(key) | {"key": secret}, options, secret)

    within(settings, options, act)


def checked(model: type[Model], values: dict[str, Any]) -> Model:
    """Check options like the body of a request.

    Raises:
        Invalid
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise Invalid("; ".join(line["msg"].removeprefix("Value error, ") for line in error.errors())) from error


def list_keys(settings: Settings, options: argparse.Namespace) -> None:
    def act(session: Session) -> None:
        for key in keys.all_keys(session):
            row = describe(key)
            show(row, options, line_of(row))

    within(settings, options, act)


def revoke_key(settings: Settings, options: argparse.Namespace) -> None:
    def act(session: Session) -> None:
        key = keys.revoke(session, options.key)
        show(describe(key), options, f"{key.id} is revoked")

    within(settings, options, act)


def create_sign_in_link(settings: Settings, options: argparse.Namespace) -> None:
    def act(session: Session) -> None:
        token = keys.local_link(session, settings.api.sign_in_link_minutes)
        url = address(settings) + sign_in_path(token)
        show({"url": url}, options, url)

    within(settings, options, act)


def address(settings: Settings) -> str:
    """Return the URL of the service: the one of a running `tsukiji up`, otherwise the one in the settings."""
    file = settings.data.dir / ADDRESS_FILE
    if file.is_file():
        return file.read_text().strip()
    host = settings.api.host if settings.api.host not in {"0.0.0.0", "::"} else "127.0.0.1"  # noqa: S104 - compared
    return f"http://{host}:{settings.api.port}"


def verify(settings: Settings, options: argparse.Namespace) -> None:
    """Compare the store with the database.

    Raises:
        NotFound: there is no database. Creating an empty one here would make all bytes look unreferenced.
        SystemExit: something is missing or altered, or was not done.
    """
    if options.place:
        place = backups.place_of(settings, options.place, options.endpoint_url)
        with backups.rows_of(place, options.backup) as (_, rows):
            check_store(place, rows, options, discard=False)
        return
    with backups.opened(settings) as database:
        check_schema(database)
        check_store(settings, database, options, discard=not options.dry_run)


def check_store(settings: Settings, database: Database, options: argparse.Namespace, *, discard: bool) -> None:
    """Raise SystemExit if something is missing or altered, or was not done."""
    flags = {"discard": discard, "trusting": options.trust_database, "read": options.read}
    steps = reconcile(database, open_store(settings), settings.jobs.blob_grace_hours, **flags)
    (found,) = deque(steps, maxlen=1)
    show(asdict(found), options, "\n".join(lines_of(found, settings.storage_url)))
    if not found.good:
        raise SystemExit(1)


def show_retention(settings: Settings, options: argparse.Namespace) -> None:
    """Show what falls due, a line for each kind.

    Raises:
        NotFound: there is no database.
    """
    database = Database(settings)
    try:
        check_schema(database)
        with database.reading() as session:
            for due in preview(session, settings, options.days):
                oldest = due.oldest.isoformat(timespec="seconds") if due.oldest else None
                show(asdict(due) | {"oldest": oldest}, options, retention_line(due, oldest))
    finally:
        database.close()


def retention_line(due: Due, oldest: str | None) -> str:
    rows = f" with {due.rows:,} rows" if due.rows else ""
    freed = f", {due.bytes / 2**20:,.1f} MiB" if due.bytes else ""
    return f"{due.kind}: {due.count:,}{rows}{freed}{f', oldest {oldest}' if oldest else ''}  ({due.rule})"


def check_schema(database: Database) -> None:
    """Raise NotFound if there is no database."""
    if not has_schema(database):
        raise NotFound(
            "There is no database of a service at the configured location.",
            hint="Run this with the service's own settings: its TSUKIJI_DATA_DIR, TSUKIJI_DATABASE_URL and so on.",
        )


def has_schema(database: Database) -> bool:
    """Return whether the database exists and has a schema; never creates one."""
    file = database.engine.url.database
    if database.engine.dialect.name == "sqlite" and not (file and Path(file).is_file()):
        return False
    return inspect(database.engine).has_table(Blob.__tablename__)


def lines_of(found: Reconciliation, place: str) -> Iterator[str]:
    yield f"{place}: {found.known:,} blobs that the database knows, {found.bytes / 2**20:,.1f} MiB"
    yield (
        f"{found.unknown:,} unreferenced, {found.unknown_bytes / 2**20:,.1f} MiB; {found.discarded:,} of "
        f"them deleted. {found.young:,} more are young, and may belong to a request that is under way."
    )
    yield from (f"missing: {sha256}" for sha256 in found.missing)
    yield from (f"altered: {sha256}" for sha256 in found.altered)
    if found.missing or found.altered:
        yield "Restore these from the store's backup, or send the same pictures or packages again."
    if found.refused:
        yield f"{found.refused} Nothing was deleted. If it is, say --trust-database."


def within(
    settings: Settings, options: argparse.Namespace, act: Callable[[Session], None], project: str | None = None
) -> None:
    """Do something in a transaction, in which there is only what a project has, if one is named."""
    upgrade(settings)  # creating a key may be the first command on a new installation
    actor = Actor(None, getpass.getuser(), options.act.__name__, "python -m db", socket.gethostname())
    database = Database(settings)
    try:
        view = None if project is None else look_into(database, project)
        with database.seen_by(view, actor).transaction() as session:
            act(session)
    finally:
        database.close()


def look_into(database: Database, project: str) -> View | None:
    with database.reading() as session:
        return view_of_project(session, projects.find(session, project).id)


def describe(key: ApiKey) -> dict[str, Any]:
    times = ("created_at", "last_used_at", "expires_at", "old_expires_at", "revoked_at")
    facts = {name: getattr(key, name) for name in ("id", "prefix", "name", "scopes", "datasets", "models", *times)}
    facts |= {"project": key.project.name} if key.several else {}
    return facts | {name: at and at.isoformat(timespec="seconds") for name in times if (at := facts[name])}


def line_of(row: dict[str, Any]) -> str:
    project = [f"project {row['project']}"] if "project" in row else []
    said = [row["id"], row["prefix"], row["name"], *project, *row["scopes"], *row["datasets"], *row["models"]]
    times = (f"{name.removesuffix('_at')} {row[name]}" for name in row if name.endswith("_at") and row[name])
    return "  ".join([*said, *times])


def show(row: dict[str, Any], options: argparse.Namespace, line: str) -> None:
    print(json.dumps(row) if options.json else line)  # noqa: T201 - a program's answer


if __name__ == "__main__":
    sys.exit(main())
