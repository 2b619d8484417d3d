"""SQL that is compiled once for a run. SQLAlchemy compiles for each engine, and each test has a database of its own."""

from functools import cache

from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from db import session

SHARED = LRUCache(1500)
DIALECTS = (SQLiteDialect_pysqlite, PGDialect_psycopg)


@cache
def share_compiled_statements() -> None:
    """Have the engines of every `Database` made from now on share what they compile; do it before the first is made."""
    create_engine = session.create_engine

    def create_sharing(url, **options):
        engine = create_engine(url, **options)
        engine.update_execution_options(compiled_cache=SHARED)
        return engine

    session.create_engine = create_sharing
    for dialect in DIALECTS:  # they are part of the keys; all of a kind are set up alike
        dialect.__hash__ = lambda self: hash(type(self))
        dialect.__eq__ = lambda self, other: type(self) is type(other)
