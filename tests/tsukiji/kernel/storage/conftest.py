"""Every kind of store, empty, with a way to damage its blobs."""

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import boto3
import pytest
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.server import ThreadedMotoServer

from tsukiji.kernel.settings import Settings, StorageSettings
from tsukiji.kernel.storage import BlobStore, open_store
from tsukiji.kernel.storage.memory import MemoryStore
from tsukiji.kernel.storage.s3 import S3Store


@dataclass
class Case:
    store: BlobStore
    damage: Callable[[str, bytes], None]
    """Overwrite what is kept under a hash."""


@pytest.fixture(scope="session")
def s3_endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_client(s3_endpoint, monkeypatch):
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    yield client
    client.close()


@pytest.fixture
def s3_case(s3_client, s3_endpoint):
    bucket = f"blobs-{secrets.token_hex(4)}"
    s3_client.create_bucket(Bucket=bucket)
    settings = StorageSettings(url=f"s3://{bucket}/some/prefix", endpoint_url=s3_endpoint)

    def damage(sha256, content):
        s3_client.put_object(Bucket=bucket, Key=f"some/prefix/{sha256}", Body=content)

    return Case(open_store(Settings(storage=settings)), damage)


@pytest.fixture
def local_case(tmp_path):
    store = open_store(Settings(storage=StorageSettings(url=f"file://{tmp_path / 'blobs'}")))
    return Case(store, lambda sha256, content: store.local_path(sha256).write_bytes(content))


@pytest.fixture
def memory_case():
    store = MemoryStore()
    return Case(store, store.blobs.__setitem__)


@pytest.fixture(params=["memory", "local", "s3"])
def case(request):
    return request.getfixturevalue(f"{request.param}_case")


@pytest.fixture
def store(case):
    return case.store


@pytest.fixture
def age(case):
    """Backdate a blob by this many hours."""

    def age(sha256, hours):
        then = time.time() - 3600 * hours
        match case.store:
            case MemoryStore():
                case.store.put_at[sha256] = then
            case S3Store():
                key = (
                    get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"]
                    .buckets[case.store.bucket]
                    .keys[f"some/prefix/{sha256}"]
                )
                key.last_modified = datetime.fromtimestamp(then, UTC).replace(tzinfo=None)
            case _:
                os.utime(case.store.local_path(sha256), (then, then))

    return age
