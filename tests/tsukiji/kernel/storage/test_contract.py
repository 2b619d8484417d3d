"""What every store promises, whichever it is."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from tsukiji.errors import BlobCorrupt, BlobMissing, DigestMismatch, Invalid
from tsukiji.kernel.storage import Blob

ABSENT = "0" * 64
MEBIBYTE = 2**20


def sha256_of(content):
    return hashlib.sha256(content).hexdigest()


def test_what_was_put_is_read(store):
    blob = store.put(b"tuna")
    assert blob == Blob(sha256_of(b"tuna"), 4)
    assert store.exists(blob.sha256)
    assert store.read(blob.sha256) == b"tuna"


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_many_are_put_at_once(store, count):
    sources = [b"tuna %d" % (number % 30) for number in range(count)]
    kept = store.put_many(sources)
    assert [store.read(blob.sha256) for blob in kept] == sources
    assert [blob.size for blob in kept] == [len(data) for data in sources]
    assert all(store.exists(blob.sha256) for blob in kept)


def test_nothing_is_a_blob_too(store):
    blob = store.put(b"")
    assert blob.size == 0
    assert store.read(blob.sha256) == b""


def test_bytes_a_file_and_pieces_are_the_same_blob(store, tmp_path):
    file = tmp_path / "fish"
    file.write_bytes(b"tuna and salmon")
    pieces = (piece for piece in [b"tuna ", b"", b"and ", b"salmon"])
    assert store.put(b"tuna and salmon") == store.put(file) == store.put(pieces)


def test_what_is_known_is_kept_without_being_hashed_again(store, tmp_path, monkeypatch):
    file = tmp_path / "fish"
    file.write_bytes(b"tuna and salmon")
    known = Blob(sha256_of(b"tuna and salmon"), 15)

    def refuse(*_):
        raise AssertionError("hashed")

    with monkeypatch.context() as patch:
        patch.setattr("tsukiji.kernel.storage.blobs.digest_of", refuse)
        patch.setattr(hashlib, "file_digest", refuse)
        for _ in range(2):  # the second time it is there already
            assert store.put(file, known) == known
    assert store.read(known.sha256) == b"tuna and salmon"


@pytest.mark.parametrize("data", [b"tuna and", b"tuna and salmon and more"])
def test_what_is_not_as_long_as_it_is_known_to_be_is_not_kept(store, data):
    known = Blob(sha256_of(b"tuna and salmon"), 15)
    with pytest.raises(DigestMismatch):
        store.put(data, known)
    assert not store.exists(known.sha256)


def test_a_large_blob_streams_in_pieces(store, tmp_path):
    content = bytes(range(256)) * (20 * MEBIBYTE // 256)
    blob = store.put(content[at : at + 300_000] for at in range(0, len(content), 300_000))
    pieces = list(store.stream(blob.sha256))
    assert max(map(len, pieces)) <= MEBIBYTE
    assert b"".join(pieces) == content
    assert blob == Blob(sha256_of(content), 20 * MEBIBYTE)


def test_pieces_are_as_small_as_asked(store):
    blob = store.put(b"0123456789")
    assert list(store.stream(blob.sha256, chunk=4)) == [b"0123", b"4567", b"89"]


def test_fetch_writes_a_file(store, tmp_path):
    blob = store.put(b"salmon")
    target = tmp_path / "cache" / "deep" / "fish"
    store.fetch(blob.sha256, target)
    store.fetch(blob.sha256, target)
    assert target.read_bytes() == b"salmon"
    assert list(target.parent.iterdir()) == [target]


def test_missing_bytes_are_named(store, tmp_path):
    assert not store.exists(ABSENT)
    for read in (store.read, lambda sha256: store.fetch(sha256, tmp_path / "target")):
        with pytest.raises(BlobMissing) as caught:
            read(ABSENT)
        assert caught.value.extra == {"sha256": ABSENT}
    assert not (tmp_path / "target").exists()


def test_damage_is_noticed_and_never_fetched(case, tmp_path):
    blob = case.store.put(b"mackerel")
    case.damage(blob.sha256, b"mackerex")
    with pytest.raises(BlobCorrupt):
        case.store.read(blob.sha256)
    with pytest.raises(BlobCorrupt):
        case.store.fetch(blob.sha256, tmp_path / "out" / "target")
    assert list((tmp_path / "out").iterdir()) == []


def test_sending_the_bytes_again_mends_a_blob_that_was_cut_short(case):
    blob = case.store.put(b"mackerel")
    case.damage(blob.sha256, b"mack")
    case.store.put(b"mackerel")
    assert case.store.read(blob.sha256) == b"mackerel"


def test_delete_forgets_and_may_be_repeated(store):
    blob = store.put(b"eel")
    kept = store.put(b"another eel")
    store.delete(blob.sha256)
    store.delete(blob.sha256)
    assert not store.exists(blob.sha256)
    assert store.read(kept.sha256) == b"another eel"


def test_a_broken_source_leaves_nothing(store):
    def broken():
        yield b"half a fish"
        raise ConnectionResetError("the client went away")

    with pytest.raises(ConnectionResetError):
        store.put(broken())
    assert not store.exists(sha256_of(b"half a fish"))


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "", "a" * 63, "A" * 64, "a" * 64 + "\n", "/" + "a" * 63, "é" * 64]
)
def test_what_is_no_hash_reaches_nothing(store, tmp_path, name):
    verbs = [
        store.read,
        store.exists,
        store.delete,
        store.local_path,
        lambda sha256: store.fetch(sha256, tmp_path / "t"),
    ]
    for verb in verbs:
        with pytest.raises(Invalid):
            verb(name)


def test_threads_put_and_read_the_same_and_different_blobs(store):
    def work(thread):
        contents = [f"{'same' if i % 2 else thread}-{i}".encode() * 1000 for i in range(10)]
        return [(store.put(content), content) for content in contents]

    with ThreadPoolExecutor(8) as threads:
        results = [pair for pairs in threads.map(work, range(8)) for pair in pairs]
    for blob, content in results:
        assert store.read(blob.sha256) == content
    assert len({blob.sha256 for blob, _ in results}) == 5 + 8 * 5


def test_check_passes(store):
    store.check()


def test_what_is_kept_is_listed_in_order_with_its_size_and_age(store):
    blobs = [store.put(str(number).encode() * number) for number in range(1, 9)]
    incoming = store.begin("upl_01jd8g0000000000000000test")
    store.put_part(incoming, 1, io.BytesIO(b"a part is no blob"))
    found = list(store.walk())
    assert [(one.sha256, one.size) for one in found] == sorted((blob.sha256, blob.size) for blob in blobs)
    assert all(0 <= one.hours < 1 for one in found)


def test_an_empty_store_lists_nothing(store):
    assert list(store.walk()) == []


def test_only_what_was_put_long_ago_is_discarded(store):
    blob = store.put(b"tuna")
    assert not store.discard(blob.sha256, hours=1)
    assert store.read(blob.sha256) == b"tuna"
    assert store.discard(blob.sha256, hours=0)
    assert not store.exists(blob.sha256)
    assert store.discard(blob.sha256, hours=1), "what is gone is gone"


def test_what_is_put_again_is_new_again(case, age):
    blob = case.store.put(b"tuna")
    age(blob.sha256, hours=30)
    assert [round(one.hours) for one in case.store.walk()] == [30]
    assert case.store.put(b"tuna") == blob
    assert not case.store.discard(blob.sha256, hours=1)
    assert case.store.read(blob.sha256) == b"tuna"
