import pytest
from sqlalchemy import select, update

from db import blobs
from db.clock import now
from db.jobs import uploads
from db.models import Blob, Upload
from db.paging import Window
from tsukiji.errors import NotFound
from tsukiji.ids import new_id

SHA = "a" * 64
PART = {"number": 1, "bytes": 5, "sha256": "b" * 64, "tag": "t"}


@pytest.fixture
def begun(session, key):
    def begin(**columns):
        known = {"name": "pets.zip", "bytes": 7, "part_bytes": 5, "sha256": SHA, "token": "", "created_by": key.id}
        return uploads.add(session, new_id("upl"), 1, **known | columns)

    return begin


def expire(session, upload):
    session.execute(update(Upload).where(Upload.id == upload.id).values(expires_at=now(-1)))


def test_a_confirmed_part_is_there_and_prolongs_the_upload(session, begun):
    upload = begun()
    assert uploads.confirm(session, upload.id, 10, PART)
    assert uploads.confirm(session, upload.id, 10, PART | {"tag": "again"}), "the last one counts"
    (part,) = uploads.parts_of(session, upload.id)
    assert (part.number, part.bytes, part.sha256, part.tag) == (1, 5, "b" * 64, "again")
    assert uploads.confirmed_bytes(session, [upload.id, "none"]) == {upload.id: 5}
    session.refresh(upload)
    assert (upload.expires_at - upload.created_at).total_seconds() == pytest.approx(36_000, abs=60)


def test_what_is_complete_takes_no_parts_and_keeps_its_bytes(session, begun):
    upload = begun(sha256=None)
    assert uploads.complete(session, upload.id, 1, SHA, 7)
    assert not uploads.complete(session, upload.id, 1, SHA, 7), "once"
    assert not uploads.confirm(session, upload.id, 1, PART)
    session.refresh(upload)
    assert upload.sha256 == upload.blob_sha256 == SHA
    assert blobs.forget(session, [SHA]) == []
    uploads.remove(session, upload.id)
    assert blobs.forget(session, [SHA]) == [SHA]


def test_what_has_expired_is_as_good_as_gone(session, begun):
    upload, lives = begun(), begun()
    uploads.confirm(session, upload.id, 1, PART)
    expire(session, upload)
    assert not uploads.confirm(session, upload.id, 1, PART)
    assert not uploads.complete(session, upload.id, 1, SHA, 7)
    with pytest.raises(NotFound):
        uploads.find(session, upload.id)
    assert [row.id for row in uploads.page(session, Window()).data] == [lives.id]
    assert [row.id for row in uploads.expired(session)] == [upload.id]
    assert uploads.count_open(session) == 1
    uploads.remove(session, upload.id)
    assert uploads.parts_of(session, upload.id) == []


def test_the_same_bytes_find_the_complete_upload_first_then_the_newest(session, begun):
    assert uploads.find_same(session, SHA, 7) is None
    first, second = begun(), begun()
    begun(bytes=8)
    begun(sha256="c" * 64)
    assert uploads.find_same(session, SHA, 7).id == second.id
    uploads.complete(session, first.id, 1, SHA, 7)
    assert uploads.find_same(session, SHA, 7).id == first.id
    expire(session, first)
    assert uploads.find_same(session, SHA, 7).id == second.id


def test_open_uploads_are_counted_by_key(session, begun, key):
    upload = begun()
    begun(created_by=None)
    assert (uploads.count_open(session), uploads.count_open(session, key.id)) == (2, 1)
    uploads.complete(session, upload.id, 1, SHA, 7)
    assert (uploads.count_open(session), uploads.count_open(session, key.id)) == (1, 0)


def test_bytes_of_a_removed_upload_get_their_grace_time(session, begun):
    upload = begun()
    uploads.complete(session, upload.id, 1, SHA, 7)
    session.execute(update(Blob).values(used_at=now(-99 * 3600)))
    uploads.remove(session, upload.id)
    assert blobs.sweep(session, 24) == []
    assert session.scalar(select(Blob.sha256)) == SHA
