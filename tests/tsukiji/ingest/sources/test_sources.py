"""Folders and prefixes: what is allowed, what is read, and that nothing else can be."""

import os
import secrets

import pytest
from pydantic import ValidationError

from tsukiji import errors
from tsukiji.ingest.sources import Sources, find_allowed
from tsukiji.ingest.sources import folder as folder_module
from tsukiji.kernel.settings import Settings, SourceSettings, StorageSettings

LARGEST = 100


def open_url(url, *allowed, endpoint=None):
    settings = Settings(
        sources=SourceSettings(allowed=[*allowed]), storage=StorageSettings(url="file:///x", endpoint_url=endpoint)
    )
    return Sources(settings).open(url)


def verdicts(source):
    found = []
    for entry in source.entries(LARGEST):
        try:
            found.append((entry.name, entry.read()))
        except errors.TsukijiError as error:
            found.append((entry.name, error.code))
    return found


# --- what is allowed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("file:///photos", "file:///photos"),
        ("file:///photos/2026/a b%20c.jpg", "file:///photos"),
        ("file:///photos//./x", "file:///photos/"),
        ("s3://bucket/2026", "s3://bucket"),
        ("s3://bucket/2026/x.jpg", "s3://bucket/2026/"),
        ("s3://bucket/2026", "s3://bucket/2026"),
    ],
)
def test_what_lies_below_is_allowed(url, root):
    assert find_allowed(url, ["file:///other", root]) == root


@pytest.mark.parametrize(
    "url",
    [
        "file:///photos/../etc/passwd",
        "file:///photos/..",
        "file:///photos-private/x",
        "file:///",
        "file:///etc",
        "file://photos/x",
        "file:photos",
        "/photos/x",
        "FILE:///photos/x",
        "file:///photos/\0",
        "s3://bucket/2026-private/x",
        "s3://bucket/2025",
        "s3://bucket/./2026/x",
        "s3://bucket//2026/x",
        "s3://bucket/2026/../2025",
        "s3://other/2026",
        "s3://bucket",
        "http://127.0.0.1/photos",
        "",
    ],
)
def test_nothing_else_is(url):
    with pytest.raises(errors.SourceNotAllowed):
        find_allowed(url, ["file:///photos", "s3://bucket/2026"])


def test_nothing_is_allowed_by_default():
    assert SourceSettings().allowed == []
    with pytest.raises(errors.SourceNotAllowed):
        open_url("file:///photos")


@pytest.mark.parametrize(
    "url", ["/photos", "file://photos", "file:///", "s3://", "s3:///x", "http://a", "file:///a/.."]
)
def test_the_setting_takes_places_only(url):
    with pytest.raises(ValidationError, match="neither"):
        SourceSettings(allowed=[url])


# --- folders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path):
    """An allowed folder beside one that is not."""
    for name, data in {
        "photos/cat/1.jpg": b"one",
        "photos/cat/deep/2.jpg": b"two",
        "photos/a.jpg": b"three",
        "photos/.hidden/3.jpg": b"no",
        "photos/Thumbs.db": b"no",
        "private/secret.jpg": b"secret",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path / "photos"


def open_folder(photos, below=""):
    return open_url(f"file://{photos}{below}", f"file://{photos}")


def test_all_files_below_in_an_order_that_stays(photos):
    passed_over = [(".hidden", "ignored_entry"), ("Thumbs.db", "ignored_entry")]
    wanted = [("a.jpg", b"three"), ("cat/1.jpg", b"one"), ("cat/deep/2.jpg", b"two")]
    assert verdicts(open_folder(photos)) == [*passed_over, *wanted]
    assert verdicts(open_folder(photos, "/cat/")) == [("1.jpg", b"one"), ("deep/2.jpg", b"two")]
    assert open_folder(photos, "/cat/deep/2.jpg").read(LARGEST) == b"two"


def test_what_devices_leave_behind_is_passed_over_and_not_looked_into(photos):
    (photos / "cat/@eaDir/1.jpg").mkdir(parents=True)
    (photos / "cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg").write_bytes(b"thumbnail")
    (photos / "cat/Icon\r").write_bytes(b"")
    passed = [name for name, found in verdicts(open_folder(photos)) if found == "ignored_entry"]
    assert passed == [".hidden", "Thumbs.db", "cat/@eaDir", "cat/Icon\r"]


def test_names_that_were_written_on_windows_have_folders(photos):
    (photos / "pets\\dog\\1.jpg").write_bytes(b"unpacked by a program that knows no backslash")
    assert "pets/dog/1.jpg" in dict(verdicts(open_folder(photos)))


def test_links_are_not_followed_wherever_they_lead(photos):
    (photos / "cat/link.jpg").symlink_to(photos / "a.jpg")
    (photos / "cat/out.jpg").symlink_to(photos.parent / "private/secret.jpg")
    (photos / "out").symlink_to(photos.parent / "private")
    found = dict(verdicts(open_folder(photos)))
    assert {name: found[name] for name in ("cat/link.jpg", "cat/out.jpg", "out")} == dict.fromkeys(
        ("cat/link.jpg", "cat/out.jpg", "out"), "unsafe_path"
    )
    assert not any(data == b"secret" for data in found.values())
    for below in ("/out", "/out/secret.jpg", "/cat/out.jpg"):
        with pytest.raises(errors.SourceMissing):
            open_folder(photos, below).read(LARGEST)
    with pytest.raises(errors.SourceMissing):
        list(open_folder(photos, "/out").entries(LARGEST))


def test_a_file_exchanged_for_a_link_after_it_was_listed_is_not_followed(photos):
    (entry,) = [entry for entry in open_folder(photos, "/cat/deep").entries(LARGEST) if _exchange(photos)]
    assert entry.error is None


def _exchange(photos):
    """True once the file is a link; the entry was listed before that, and is read during its iteration."""
    path = photos / "cat/deep/2.jpg"
    path.unlink()
    path.symlink_to(photos.parent / "private/secret.jpg")
    return True


def test_an_exchanged_file_costs_only_itself(photos):
    for entry in open_folder(photos, "/cat/deep").entries(LARGEST):
        _exchange(photos)
        with pytest.raises(errors.EntryUnreadable):
            entry.read()


def test_the_allowed_folder_may_itself_be_a_link(photos):
    alias = photos.parent / "alias"
    alias.symlink_to(photos)
    assert open_url(f"file://{alias}/cat/1.jpg", f"file://{alias}").read(LARGEST) == b"one"


def test_pipes_and_devices_are_refused_without_waiting(photos):
    os.mkfifo(photos / "cat/pipe.jpg")
    assert dict(verdicts(open_folder(photos)))["cat/pipe.jpg"] == "unsafe_path"
    with pytest.raises(errors.SourceMissing, match="not a regular file"):
        open_folder(photos, "/cat/pipe.jpg").read(LARGEST)


def test_large_nested_and_odd_files_get_their_verdict(photos):
    (photos / "cat/large.jpg").write_bytes(bytes(LARGEST + 1))
    (photos / "cat/more.zip").write_bytes(b"x")
    (photos / "cat/zip.jpg").write_bytes(b"PK\3\4...")
    (photos / "cat/two\nlines.jpg").write_bytes(b"x")
    with open(os.fsencode(photos) + "/cat/pâté.jpg".encode("latin-1"), "wb") as file:  # noqa: PTH123 - no UTF-8
        file.write(b"bytes")
    found = dict(verdicts(open_folder(photos, "/cat")))
    assert found["large.jpg"] == "entry_too_large"
    assert found["more.zip"] == found["zip.jpg"] == "nested_archive"
    assert found["two\nlines.jpg"] == "unsafe_path"
    assert found["pâté.jpg"] == b"bytes"
    assert [entry.name for entry in open_folder(photos, "/cat").entries(LARGEST) if entry.guessed] == ["pâté.jpg"]
    assert len(open_folder(photos, "/cat/large.jpg").read(LARGEST)) == LARGEST + 1, "one more, so that it shows"


@pytest.mark.parametrize("below", ["/dog", "/cat/1.jpg/x", "/a.jpg"])
def test_no_such_folder(photos, below):
    with pytest.raises(errors.SourceMissing):
        list(open_folder(photos, below).entries(LARGEST))


@pytest.mark.parametrize("below", ["", "/dog.jpg", "/cat"])
def test_no_such_file(photos, below):
    with pytest.raises(errors.SourceMissing):
        open_folder(photos, below).read(LARGEST)


def test_what_may_not_be_read_says_so(photos, monkeypatch):
    real = os.open

    def deny(path, *arguments, **options):
        if path in {"cat", "a.jpg"}:
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(folder_module.os, "open", deny)
    with pytest.raises(errors.SourceUnreadable):
        open_folder(photos, "/cat/1.jpg").read(LARGEST)
    found = []
    with pytest.raises(errors.SourceUnreadable):
        found.extend(_codes(open_folder(photos)))


def _codes(source):
    for entry in source.entries(LARGEST):
        if not isinstance(entry.error, errors.EntryIgnored):
            with pytest.raises(errors.EntryUnreadable):
                entry.read()
            yield entry.name


# --- S3 --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(s3_client):
    name = f"photos-{secrets.token_hex(4)}"
    s3_client.create_bucket(Bucket=name)
    for key, data in {
        "2026/cat/1.jpg": b"one",
        "2026/cat/": b"",
        "2026/.DS_Store": b"x",
        "2026/../evil.jpg": b"evil",
        "2026/large.jpg": bytes(LARGEST + 1),
        "2026-private/x.jpg": b"secret",
        "top.jpg": b"top",
    }.items():
        s3_client.put_object(Bucket=name, Key=key, Body=data)
    return name


def test_a_prefix_is_read_to_its_slash(bucket, s3_endpoint):
    source = open_url(f"s3://{bucket}/2026", f"s3://{bucket}/2026", endpoint=s3_endpoint)
    assert verdicts(source) == [
        ("../evil.jpg", "unsafe_path"),
        (".DS_Store", "ignored_entry"),
        ("cat/1.jpg", b"one"),
        ("large.jpg", "entry_too_large"),
    ]


def test_a_whole_bucket_and_one_object(bucket, s3_endpoint):
    whole = open_url(f"s3://{bucket}", f"s3://{bucket}", endpoint=s3_endpoint)
    assert ("top.jpg", b"top") in verdicts(whole)
    one = open_url(f"s3://{bucket}/2026/cat/1.jpg", f"s3://{bucket}", endpoint=s3_endpoint)
    assert one.read(LARGEST) == b"one"


def test_what_is_not_there(bucket, s3_endpoint):
    with pytest.raises(errors.SourceMissing):
        open_url(f"s3://{bucket}/no.jpg", f"s3://{bucket}", endpoint=s3_endpoint).read(LARGEST)
    with pytest.raises(errors.SourceMissing):
        list(open_url("s3://nosuch", "s3://nosuch", endpoint=s3_endpoint).entries(LARGEST))
    assert verdicts(open_url(f"s3://{bucket}/empty", f"s3://{bucket}", endpoint=s3_endpoint)) == []
