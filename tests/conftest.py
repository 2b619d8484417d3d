"""Servers as fixtures. Where one is missing, its tests are left out, and the last lines of the run say so."""

import fcntl
import gc
import os
import secrets
import signal
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import structlog
from hypothesis import settings

from devtools import servers
from tsukiji.vision.decoding.budget import give_back

settings.register_profile("untimed", deadline=None)  # the first example also pays for imports
settings.load_profile("untimed")

# Tests run beside each other, and so do the programs that they start: more threads would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Measuring engines takes seconds in each new folder: tests that need another one than PyTorch ask for it.
os.environ.setdefault("TSUKIJI_INFERENCE_ENGINE", "torch")

# The default draws tracebacks with all their variables, which takes a second each.
plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs us in the background has Ctrl-C ignored, and the programs that we start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


LARGEST = "vit_base_patch16_siglip"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Modules that start programs come first: at the end there are only short tests to share between processes.

    `make test-long` has the largest network (86 million parameters); a smaller transformer has the same tests.
    """
    for item in items:
        if LARGEST in getattr(getattr(item, "callspec", None), "params", {}).values():
            item.add_marker(pytest.mark.long)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish():
    """Leave what the imports made out of every garbage collection: hundreds of thousands of objects that stay."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish():
    gc.unfreeze()  # so that libraries can take down what they made


def pytest_runtest_teardown(item, nextitem):
    """Give memory back after each module: networks refer to themselves in circles, and glibc keeps what is freed."""
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        give_back()


@contextmanager
def required(service):
    try:
        with service as url:
            yield url
    except servers.Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgres_url():
    """A fresh database on a real server, one for the whole run."""
    with required(servers.postgres_database()) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url):
    """The same, with the tables of the service."""
    from db.upgrade import upgrade  # noqa: PLC0415 - tests of the client and of the engine need no database
    from tests.settings import make_settings  # noqa: PLC0415
    from tests.statements import share_compiled_statements  # noqa: PLC0415
    from tsukiji.kernel.settings import DatabaseSettings  # noqa: PLC0415

    share_compiled_statements()
    upgrade(make_settings(database=DatabaseSettings(url=postgres_url)))
    return postgres_url


@pytest.fixture
def empty_postgres(migrated_postgres):
    """The URL of a migrated database without rows but the default project's."""
    from db.models import Base  # noqa: PLC0415 - tests of the client and of the engine need no database

    yield migrated_postgres
    tables = [table.name for table in reversed(Base.metadata.sorted_tables)]
    kept = {"projects": " WHERE id != 'prj_default'"}
    rows = [f"DELETE FROM {name}{kept.get(name, '')}" for name in tables]  # noqa: S608 - our own tables
    with psycopg.connect(migrated_postgres) as connection:
        connection.execute("; ".join(rows))  # to truncate tables makes new files of each and of its indexes


@pytest.fixture(scope="session")
def redis_url():
    with required(servers.redis_server()) as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_server():
    with required(servers.rabbitmq_server()) as url:
        yield url


@pytest.fixture
def rabbitmq_url(rabbitmq_server):
    """One test at a time, across parallel test processes: they share the broker's queues."""
    with (Path(tempfile.gettempdir()) / "tsukiji-tests-rabbitmq.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield rabbitmq_server


@pytest.fixture(scope="session")
def s3_endpoint():
    """The URL of a server that speaks S3, one for the whole run."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - few tests need it, and it takes a second

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3_client(s3_endpoint, monkeypatch):
    """A client of it; its credentials are where programs look for them."""
    import boto3  # noqa: PLC0415 - few tests need it, and it takes half a second

    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    yield client
    client.close()


@pytest.fixture
def s3_bucket(s3_client):
    """The name of an empty bucket there."""
    name = f"tests-{secrets.token_hex(4)}"
    s3_client.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    """A migrated, empty SQLite database, made once and copied for each test."""
    from db.session import Database  # noqa: PLC0415 - tests of the client and of the engine need no database
    from db.upgrade import upgrade  # noqa: PLC0415
    from tests.settings import make_settings  # noqa: PLC0415
    from tests.statements import share_compiled_statements  # noqa: PLC0415
    from tsukiji.kernel.settings import DataSettings  # noqa: PLC0415

    share_compiled_statements()
    settings = make_settings(data=DataSettings(dir=tmp_path_factory.mktemp("migrated")))
    upgrade(settings)
    database = Database(settings)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    database.close()
    return settings.data.dir / "tsukiji.db"


def pytest_terminal_summary(terminalreporter):
    """No test is left out silently, even under `-q`; and what chance decided can be repeated."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.items():
        terminalreporter.write_line(f"tests left out: {count}, because {reason}", yellow=True, bold=True)
    for report in (report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])):
        for seed in (value for name, value in report.user_properties if name == "seed"):
            terminalreporter.write_line(f"seed {seed} of {report.nodeid}")
