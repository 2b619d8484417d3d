"""`python -m db`: the migrations and the keys, for whoever may reach the database."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from db import keys
from db.models import ApiKey
from db.session import Database, Session
from db.upgrade import upgrade
from tsukiji.errors import TsukijiError
from tsukiji.settings import Settings, load


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m db", description=__doc__)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("upgrade", help="bring the database to this code's schema").set_defaults(act=migrate)
    add_key_commands(commands.add_parser("keys", help="API keys").add_subparsers(required=True))
    options = parser.parse_args(arguments)
    try:
        options.act(load(), options)
    except TsukijiError as error:
        print(f"{error.detail} {error.hint or ''}".strip(), file=sys.stderr)  # noqa: T201 - a program's answer
        return 4
    return 0


def add_key_commands(commands: Any) -> None:
    make = commands.add_parser("create", help="make a key; it is shown once")
    make.add_argument("--name", default="key")
    listing = commands.add_parser("ls", help="list the keys")
    ending = commands.add_parser("revoke", help="end a key at once")
    ending.add_argument("key", help="the key's id or its first eight characters")
    for parser, act in ((make, create_key), (listing, list_keys), (ending, revoke_key)):
        parser.add_argument("--json", action="store_true")
        parser.set_defaults(act=act)


def migrate(settings: Settings, _options: argparse.Namespace) -> None:
    upgrade(settings)


def create_key(settings: Settings, options: argparse.Namespace) -> None:
    def act(session: Session) -> None:
        key, secret = keys.create(session, options.name)
        show({"id": key.id, "name": key.name, "key": secret}, options, secret)

    within(settings, act)


def list_keys(settings: Settings, options: argparse.Namespace) -> None:
    def act(session: Session) -> None:
        for key in keys.all_keys(session):
            row = describe(key)
            show(row, options, "  ".join(str(value) for value in row.values()))

    within(settings, act)


def revoke_key(settings: Settings, options: argparse.Namespace) -> None:
    def act(session: Session) -> None:
        key = keys.revoke(session, options.key)
        show(describe(key), options, f"{key.id} is revoked")

    within(settings, act)


def within(settings: Settings, act: Callable[[Session], None]) -> None:
    upgrade(settings)  # a key may be the first thing that is asked of a new installation
    database = Database(settings)
    try:
        with database.transaction() as session:
            act(session)
    finally:
        database.close()


def describe(key: ApiKey) -> dict[str, Any]:
    times = {name: getattr(key, name) for name in ("created_at", "last_used_at", "revoked_at")}
    return {"id": key.id, "prefix": key.prefix, "name": key.name} | {
        name: at and at.isoformat(timespec="seconds") for name, at in times.items()
    }


def show(row: dict[str, Any], options: argparse.Namespace, line: str) -> None:
    print(json.dumps(row) if options.json else line)  # noqa: T201 - a program's answer


if __name__ == "__main__":
    sys.exit(main())
