import random
import struct
import tracemalloc
import zipfile
import zlib

import pytest

from tests.tsukiji.ingest.archives.zipped import DEFLATED, LIMITS, STORED, patch, verdicts
from tsukiji import errors
from tsukiji.ingest.archives import ArchiveLimits, entries, listing
from tsukiji.kernel.settings import LimitSettings


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path, monkeypatch):
    """Whatever an archive holds, reading it leaves no file behind."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    assert list((tmp_path / "here").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} <= {"here", "pictures.zip"}


def test_good_files_come_out_whole_in_their_order(pack):
    big = random.Random(1).randbytes(2**21)
    path = pack(
        ("cat/2.jpg", b"two"), ("cat/", b""), ("cat/1.jpg", big), ("empty.jpg", b""), ("./dog//3.jpg", b"three")
    )
    assert verdicts(path) == [("cat/2.jpg", b"two"), ("cat/1.jpg", big), ("empty.jpg", b""), ("dog/3.jpg", b"three")]


def test_bad_entries_say_so_before_they_are_read(pack):
    [entry] = entries(pack(("../evil.jpg", b"x")), LIMITS)
    assert isinstance(entry.error, errors.EntryUnsafePath)
    assert entry.name == "../evil.jpg"


def test_an_empty_archive_has_no_entries(pack):
    assert verdicts(pack()) == []


# --- contents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["more.zip", "cat/more.TAR", "more.tar.gz", "more.7z", "more.rar", "more.tgz"])
def test_archives_inside_are_known_by_name(pack, name):
    assert verdicts(pack((name, b"x"))) == [(name, "nested_archive")]


@pytest.mark.parametrize(
    "data",
    [
        b"PK\3\4....",
        b"PK\5\6" + bytes(18),
        b"\x1f\x8b\x08",
        b"BZh9",
        b"\xfd7zXZ\0",
        b"7z\xbc\xaf\x27\x1c",
        b"Rar!\x1a\x07\0",
        b"\x28\xb5\x2f\xfd",
        bytes(257) + b"ustar",
    ],
)
def test_archives_inside_are_known_by_content(pack, data):
    assert verdicts(pack(("cat/1.jpg", data))) == [("cat/1.jpg", "nested_archive")]


def test_encrypted_entries_are_refused(pack):
    path = pack(("cat/1.jpg", b"x"))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\3\4") + 6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert verdicts(path) == [("cat/1.jpg", "encrypted_entry")]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_a_bound_are_refused(pack, method):
    assert verdicts(pack(("cat/1.jpg", bytes(1000)), method=method)) == [("cat/1.jpg", "unreadable_entry")]


def test_large_entries_are_refused(pack):
    path = pack(("a.jpg", bytes(2**22 + 1)), ("b.jpg", bytes(2**22)), method=STORED)
    assert [verdict for _, verdict in verdicts(path)] == ["entry_too_large", bytes(2**22)]


def test_what_unpacks_to_a_hundredfold_is_refused(pack):
    path = pack(("bomb.bmp", bytes(2**21)), ("small.bmp", bytes(2**20)))
    assert [verdict for _, verdict in verdicts(path)] == ["entry_too_large", bytes(2**20)]


def test_damaged_bytes_are_found(pack):
    path = pack(("a.jpg", b"some picture"), ("b.jpg", b"y"), method=STORED)
    patch(path, b"some picture", b"same picture")
    assert verdicts(path) == [("a.jpg", "unreadable_entry"), ("b.jpg", b"y")]


@pytest.mark.parametrize("claimed", [10, 10_000])
@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_a_size_that_lies_is_found_and_bounds_what_is_read(pack, claimed, method):
    data = b"0123456789" * 100
    path = pack(("a.jpg", data), ("b.jpg", b"y"), method=method)
    patch(path, struct.pack("<L", len(data)) + struct.pack("<HH", 5, 0), struct.pack("<LHH", claimed, 5, 0))
    assert verdicts(path) == [("a.jpg", "unreadable_entry"), ("b.jpg", b"y")]


def test_an_entry_that_points_into_nothing_is_refused_alone(pack):
    path = pack(("a.jpg", b"x"), ("b.jpg", b"y"))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2") + 42
    data[at : at + 4] = struct.pack("<L", len(data) - 5)
    path.write_bytes(data)
    assert verdicts(path) == [("a.jpg", "unreadable_entry"), ("b.jpg", b"y")]


# --- the whole -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"x", b"PK\3\4", b"PK\5\6" + bytes(5), b"a text" * 999, b"\x1f\x8b\x08" + bytes(99)]
)
def test_what_is_no_zip_is_called_so(tmp_path, data):
    path = tmp_path / "pictures.zip"
    path.write_bytes(data)
    with pytest.raises(errors.ArchiveUnreadable):
        verdicts(path)


@pytest.mark.parametrize("part", [0.5, 0.95])
def test_half_an_archive_is_unreadable(pack, part):
    path = pack(*((f"{number}.jpg", b"x" * 99) for number in range(20)), method=STORED)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(errors.ArchiveUnreadable):
        verdicts(path)


def test_a_damaged_listing_is_unreadable(pack):
    path = pack(("a.jpg", b"x"), ("b.jpg", b"y"))
    patch(path, b"PK\1\2", b"PK\1\3", 1)
    with pytest.raises(errors.ArchiveUnreadable):
        verdicts(path)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(listing, "PART_ENTRIES", 3)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("number", [1, 3, 4, 20])
def test_a_listing_is_read_in_parts(pack, number):
    files = [(f"{name}.jpg", bytes([name])) for name in range(number)]
    assert verdicts(pack(*files)) == files
    assert [entry.name for entry in entries(pack(*files), LIMITS)] == [name for name, _ in files]


@pytest.mark.usefixtures("small_parts")
def test_a_name_of_another_part_is_a_double_too(pack):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = pack(*((f"{number % 4}.jpg", b"x") for number in range(5)))
    assert verdicts(path)[-1] == ("0.jpg", "duplicate_entry")


@pytest.mark.usefixtures("small_parts")
def test_an_archive_behind_something_else_and_with_a_comment_is_read(pack):
    files = [(f"{number}.jpg", bytes([number])) for number in range(7)]
    path = pack(*files)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"holidays"
    path.write_bytes(b"#!a program that unpacks itself\n" + path.read_bytes())
    assert verdicts(path) == files


@pytest.mark.usefixtures("small_parts")
def test_places_beyond_4_gib_are_found(tmp_path):
    files = [(f"{number}.jpg", bytes([number])) for number in range(5)]
    with (tmp_path / "pictures.zip").open("wb+") as file:
        file.write(b"#!")  # of zeros alone it would be an empty tar
        file.truncate(2**32 + 2**20)  # sparse: what is before the archive takes no room
        with zipfile.ZipFile(file, "a") as archive:
            for name, data in files:
                archive.writestr(name, data)
            assert archive.infolist()[0].header_offset > 2**32
    assert verdicts(tmp_path / "pictures.zip", ArchiveLimits(2**34, 50, 2**27, 2**22, 100)) == files


MANY = ArchiveLimits(2**30, 10**6, 2**30, 2**22, 100)


def many(path, number):
    with zipfile.ZipFile(path, "w") as archive:
        for name in range(number):
            archive.writestr(f"{name:020}.jpg", b"")
    return path


def test_more_entries_than_16_bits_count(tmp_path):
    found = [entry.name for entry in entries(many(tmp_path / "pictures.zip", 66_000), MANY)]
    assert found == [f"{name:020}.jpg" for name in range(66_000)]


def test_an_entry_takes_hardly_any_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "PART_ENTRIES", 50)
    path = many(tmp_path / "pictures.zip", 5000)
    ours = [tracemalloc.Filter(True, place) for place in (zipfile.__file__, "*/tsukiji/ingest/archives/*")]
    tracemalloc.start()
    try:
        for number, _ in enumerate(entries(path, MANY), 1):
            if number == 5000:
                held = tracemalloc.take_snapshot().filter_traces(ours)
    finally:
        tracemalloc.stop()
    assert sum(line.size for line in held.statistics("filename")) / 5000 < 50, "bytes"


def test_archives_have_a_size(pack):
    path = pack(("a.jpg", bytes(5000)), method=STORED)
    with pytest.raises(errors.ArchiveTooLarge):
        verdicts(path, ArchiveLimits(5000, 50, 2**27, 2**22, 100))


def test_archives_have_a_size_unpacked(pack):
    path = pack(*((f"{number}.bmp", bytes(2**20)) for number in range(3)))
    with pytest.raises(errors.ArchiveTooLarge, match="unpacks to"):
        verdicts(path, ArchiveLimits(2**24, 50, 2**20 * 3 - 1, 2**22, 100))


def test_archives_have_a_number_of_entries(pack):
    files = [(f"{number}.jpg", b"x") for number in range(51)]
    assert len(verdicts(pack(*files[:50]))) == 50
    with pytest.raises(errors.ArchiveTooManyEntries):
        verdicts(pack(*files))


def test_a_listing_is_refused_before_it_fills_the_memory(pack):
    info = zipfile.ZipInfo("a.jpg")
    info.comment = b"x" * 60_000
    files = [(info, b"x")] * 100
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = pack(*files)
    with pytest.raises(errors.ArchiveTooManyEntries, match="listing alone"):
        verdicts(path, ArchiveLimits(2**24, 50, 2**27, 2**22, 100))


def test_entries_that_share_their_bytes_are_not_opened_twice(pack):
    """David Fifield's bomb: many names for one place; the sum of what they claim is what counts."""
    path = pack(*((f"{number}.bmp", zlib.compress(bytes(9))) for number in range(9)), method=STORED)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    first = data[at + 42 : at + 46]
    while (at := data.find(b"PK\1\2", at + 4)) > 0:
        data[at + 42 : at + 46] = first
    path.write_bytes(data)
    assert [verdict for _, verdict in verdicts(path)][1:] == ["unreadable_entry"] * 8


def test_limits_come_from_the_settings():
    settings = LimitSettings.model_construct()
    limits = ArchiveLimits.of(settings)
    assert limits.max_entry_bytes == settings.image_bytes
    assert limits.max_expanded_bytes == settings.archive_expanded_bytes
    assert (limits.max_bytes, limits.max_entries) == (settings.archive_bytes, settings.archive_entries)
    assert limits.max_ratio == settings.archive_ratio
