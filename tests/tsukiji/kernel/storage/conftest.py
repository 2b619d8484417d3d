"""Every kind of store, empty, with a way to damage its blobs."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID

from tsukiji.kernel.settings import Settings, StorageSettings
from tsukiji.kernel.storage import BlobStore, open_store
from tsukiji.kernel.storage.memory import MemoryStore
from tsukiji.kernel.storage.s3 import S3Store


@dataclass
class Case:
    store: BlobStore
    damage: Callable[[str, bytes], None]
    """Overwrite what is kept under a hash."""


@pytest.fixture
def s3_case(s3_client, s3_endpoint, s3_bucket):
    settings = StorageSettings(url=f"s3://{s3_bucket}/some/prefix", endpoint_url=s3_endpoint)

    def damage(sha256, content):
        s3_client.put_object(Bucket=s3_bucket, Key=f"some/prefix/{sha256}", Body=content)

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
