"""What every store promises of a blob that arrives in parts."""

import hashlib
import io

import pytest

from tsukiji.errors import BlobMissing, DigestMismatch, Invalid, StorageUnavailable
from tsukiji.ids import new_id
from tsukiji.kernel.storage import Blob, Incoming

LEAST = 5 * 2**20
"""S3 joins no smaller parts, the last one excepted."""
FIRST, LAST = b"tuna" * (LEAST // 4), b"eel"
GONE = (BlobMissing, StorageUnavailable)
"""moto fails where a server of S3 says that there is no such upload."""
WHOLE = hashlib.sha256(FIRST + LAST).hexdigest()


@pytest.fixture
def incoming(store):
    return store.begin(new_id("upl"))


def put(store, incoming, *parts):
    """Put parts, the last one first; returns their tags in order."""
    tags = [store.put_part(incoming, number, io.BytesIO(data)) for number, data in reversed([*enumerate(parts, 1)])]
    return tags[::-1]


def test_parts_in_any_order_become_one_blob(store, incoming):
    tags = put(store, incoming, FIRST, LAST)
    blob = store.join(incoming, tags, WHOLE)
    assert blob == Blob(WHOLE, LEAST + 3)
    store.drop(incoming)
    assert store.read(WHOLE) == FIRST + LAST


def test_a_part_that_is_sent_again_counts_as_it_came_last(store, incoming):
    put(store, incoming, FIRST, b"squid")
    tags = put(store, incoming, FIRST, LAST)
    assert store.join(incoming, tags, None).sha256 == WHOLE


def test_joining_may_be_repeated_until_the_parts_are_dropped(store, incoming):
    tags = put(store, incoming, FIRST, LAST)
    assert store.join(incoming, tags, None) == store.join(incoming, tags, WHOLE)
    store.drop(incoming)
    with pytest.raises(GONE):
        store.join(incoming, tags, WHOLE)
    assert store.exists(WHOLE)


def test_another_hash_than_announced_keeps_nothing(store, incoming):
    tags = put(store, incoming, FIRST, LAST)
    with pytest.raises(DigestMismatch, match=WHOLE):
        store.join(incoming, tags, "0" * 64)
    assert not store.exists(WHOLE)
    assert not store.exists("0" * 64)


def test_what_was_there_already_survives_a_wrong_announcement(store, incoming):
    store.put(FIRST + LAST)
    with pytest.raises(DigestMismatch):
        store.join(incoming, put(store, incoming, FIRST, LAST), "0" * 64)
    store.drop(incoming)
    assert store.read(WHOLE) == FIRST + LAST


def test_dropped_parts_are_gone_and_dropping_may_be_repeated(store, incoming):
    tags = put(store, incoming, FIRST, LAST)
    store.drop(incoming)
    store.drop(incoming)
    with pytest.raises(GONE):
        store.join(incoming, tags, WHOLE)


def test_nothing_is_left_of_what_was_dropped(local_case, s3_case, s3_client):
    for store in (local_case.store, s3_case.store):
        incoming = store.begin(new_id("upl"))
        store.join(incoming, put(store, incoming, FIRST, LAST), WHOLE)
        store.drop(incoming)
        store.drop(store.begin(new_id("upl")))
    files = [path.name for path in local_case.store.root.rglob("*") if path.is_file()]
    assert files == [WHOLE]
    bucket = s3_case.store.bucket
    assert [one["Key"] for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"]] == [f"some/prefix/{WHOLE}"]
    assert "Uploads" not in s3_client.list_multipart_uploads(Bucket=bucket)


def test_parts_of_s3_are_parts_of_one_multipart_upload(s3_case, s3_client):
    store = s3_case.store
    incoming = store.begin(new_id("upl"))
    put(store, incoming, FIRST, LAST)
    key = f"some/prefix/uploads/{incoming.id}"
    listed = s3_client.list_parts(Bucket=store.bucket, Key=key, UploadId=incoming.token)["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in listed] == [(1, LEAST), (2, 3)]


def test_a_part_for_an_upload_that_s3_has_forgotten(s3_case):
    incoming = s3_case.store.begin(new_id("upl"))
    s3_case.store.drop(incoming)
    with pytest.raises(GONE):
        s3_case.store.put_part(incoming, 1, io.BytesIO(LAST))


@pytest.mark.parametrize("name", ["../up", "upl_1", "", "upl_" + "a" * 27, "upl_" + "/" * 26])
def test_what_is_no_id_reaches_nothing(store, name):
    for verb in (store.begin, lambda name: store.drop(Incoming(name, "x"))):
        with pytest.raises(Invalid):
            verb(name)
