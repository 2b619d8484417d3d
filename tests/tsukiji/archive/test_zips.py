import random
import stat
import struct
import tracemalloc
import unicodedata
import zipfile
import zlib

import pytest

from tsukiji import errors
from tsukiji.archive import ArchiveLimits, entries, listing
from tsukiji.settings import LimitSettings

LIMITS = ArchiveLimits(max_bytes=2**24, max_entries=50, max_expanded_bytes=2**27, max_entry_bytes=2**22, max_ratio=100)
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


@pytest.fixture
def pack(tmp_path):
    """Write a zip of (name or ZipInfo, bytes) pairs."""

    def write(*files, method=DEFLATED):
        path = tmp_path / "pictures.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in files:
                archive.writestr(name, data)
        return path

    return write


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path, monkeypatch):
    """Whatever an archive holds, reading it leaves no file behind."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    assert list((tmp_path / "here").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} <= {"here", "pictures.zip"}


def verdicts(path, limits=LIMITS):
    """Name to bytes, or to the code of the error."""
    found = []
    for entry in entries(path, limits):
        try:
            found.append((entry.name, entry.read()))
        except errors.ArchiveError as error:
            found.append((entry.name, error.code))
    return found


def patch(path, old, new, count=None):
    data = path.read_bytes()
    assert data.count(old) >= 1
    path.write_bytes(data.replace(old, new, *([] if count is None else [count])))


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


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../evil.jpg",
        "../../evil.jpg",
        "a/../../evil.jpg",
        "a/..",
        "/etc/evil.jpg",
        "C:/evil.jpg",
        "c:evil.jpg",
        "./C:/evil.jpg",
        "..\\evil.jpg",
        "a\\..\\..\\b",
        "a/..\\../b",
        "a\\..",
        "C:\\x",
        "C:x",
        ".\\C:\\x",
        "\\x.jpg",
        "\\\\server\\share\\x.jpg",
        "\\/server/share/x.jpg",
        "\\\\?\\C:\\x",
        "a\nb.jpg",
        "a\x7f.jpg",
    ],
)
def test_names_that_lead_outside_are_refused(pack, name):
    assert verdicts(pack((name, b"x"), ("good.jpg", b"y"))) == [(name, "unsafe_path"), ("good.jpg", b"y")]


def test_a_name_cut_at_a_nul_is_refused(pack):
    path = pack(("evil.jpg#.txt", b"x"))
    patch(path, b"evil.jpg#.txt", b"evil.jpg\0.txt")
    assert verdicts(path) == [("evil.jpg\0.txt", "unsafe_path")]


def test_a_name_that_is_empty_is_refused(pack):
    path = pack(("#", b"x"))
    patch(path, b"#", b"\0")
    assert [code for _, code in verdicts(path)] == ["unsafe_path"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(pack, kind):
    info = zipfile.ZipInfo("cat/1.jpg")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    assert verdicts(pack((info, b"/etc/passwd"))) == [("cat/1.jpg", "unsafe_path")]


def test_names_are_composed_and_doubles_found(pack):
    composed, decomposed = (unicodedata.normalize(form, "pâté/1.jpg") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert verdicts(pack((decomposed, b"1"), (composed, b"2"))) == [(composed, b"1"), (composed, "duplicate_entry")]


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_the_same_name_twice_counts_once(pack):
    path = pack(("cat/1.jpg", b"1"), ("cat/1.jpg", b"2"), ("cat/./1.jpg", b"3"), ("Cat/1.jpg", b"4"))
    assert [verdict for _, verdict in verdicts(path)] == [b"1", "duplicate_entry", "duplicate_entry", b"4"]


def test_a_refused_entry_does_not_make_the_next_a_double(pack):
    info = zipfile.ZipInfo("cat/1.jpg")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    path = pack((info, b"2.jpg"), ("cat#1.jpg", b"a picture"))
    patch(path, b"cat#1.jpg", b"cat/1.jpg")
    assert [verdict for _, verdict in verdicts(path)] == ["unsafe_path", b"a picture"]


def test_names_that_were_written_on_windows_have_folders(pack):
    path = pack(("pets\\", b""), ("pets\\cat\\", b""), ("pets\\cat\\1.jpg", b"1"), ("pets/cat\\2.jpg", b"2"))
    assert verdicts(path) == [("pets/cat/1.jpg", b"1"), ("pets/cat/2.jpg", b"2")]


def test_the_same_place_is_a_double_however_it_is_spelled(pack):
    path = pack(("cat/1.jpg", b"1"), ("cat\\1.jpg", b"2"))
    assert [verdict for _, verdict in verdicts(path)] == [b"1", "duplicate_entry"]


@pytest.fixture
def pack_bytes(pack):
    """Write a zip whose names are these bytes, with no word about their encoding."""

    def write(*names, extra=()):
        said = [chr(ord("A") + number) * len(name) for number, name in enumerate(names)]
        infos = [zipfile.ZipInfo(name) for name in said]
        for info, field in zip(infos, extra, strict=False):
            info.extra = field
        path = pack(*((info, b"x") for info in infos), method=STORED)
        for name, placeholder in zip(names, said, strict=True):
            patch(path, placeholder.encode(), name)
        return path

    return write


WORDS = {
    "utf-8": ["寿司", "кошка", "pâté", "Ψάρι"],
    "cp932": ["寿司", "猫", "表", "マグロ"],
    "gb18030": ["猫", "狗", "苹果", "香蕉"],
    "big5": ["貓", "狗", "蘋果", "香蕉"],
    "cp949": ["고양이", "개", "사과"],
    "cp866": ["кошка", "собака", "Яблоко", "птица"],
    "cp1251": ["кошка", "собака", "Яблоко"],
    "koi8-r": ["кошка", "собака", "Яблоко"],
    "cp437": ["pâté", "crème brûlée", "Äpfel", "niño"],
    "cp1252": ["pâté", "København", "Äpfel", "maçã"],
    "cp852": ["żaba", "kočka", "łódź", "medvěd"],
    "cp1253": ["γάτα", "σκύλος", "μήλο"],
    "cp1255": ["חתול", "כלב", "תפוח"],
    "cp1256": ["قطة", "كلب", "تفاح"],
}


@pytest.mark.parametrize("slash", ["/", "\\"])
@pytest.mark.parametrize("encoding", WORDS)
def test_names_of_a_code_page_are_read_as_meant_and_told(pack_bytes, encoding, slash):
    path = pack_bytes(*(f"pets{slash}{word}{slash}1.jpg".encode(encoding) for word in WORDS[encoding]))
    assert verdicts(path) == [(f"pets/{word}/1.jpg", b"x") for word in WORDS[encoding]]
    assert {entry.guessed is None for entry in entries(path, LIMITS)} == {encoding == "utf-8"}


def test_one_name_alone_does_not_change_how_the_others_are_read(pack_bytes):
    """The bytes of some Chinese characters are UTF-8 by chance; most of a few names are not."""
    assert "牛".encode("gb18030").decode() == "ţ"
    words = ["牛", "狗", "苹果", "香蕉"]
    path = pack_bytes(*(f"{word}/1.jpg".encode("gb18030") for word in words))
    assert [entry.name for entry in entries(path, LIMITS)] == [f"{word}/1.jpg" for word in words]


def test_a_code_page_that_is_said_is_not_guessed(pack_bytes):
    path = pack_bytes("кот/1.jpg".encode("koi8-r"), "寿司/1.jpg".encode())
    assert next((entry.name, entry.guessed) for entry in entries(path, LIMITS, "koi8-r")) == ("кот/1.jpg", None)
    assert next(entries(path, LIMITS, "cp1251")).name == "ЛПФ/1.jpg"


def test_what_is_unsafe_in_a_code_page_is_refused(pack_bytes):
    path = pack_bytes("表/..\\..\\猫".encode("cp932"), "表\\マグロ.jpg".encode("cp932"), "猫/寿司.jpg".encode("cp932"))
    assert [verdict for _, verdict in verdicts(path)] == ["unsafe_path", b"x", b"x"]


def test_a_name_that_is_said_to_be_utf8_and_is_not_costs_its_entry_alone(pack):
    path = pack(("寿司/1.jpg", b"x"), ("猫/1.jpg", b"y"))
    patch(path, "寿".encode(), b"\xff\xff\xff")
    (_, verdict), other = verdicts(path)
    assert verdict == "unreadable_entry"
    assert other == ("猫/1.jpg", b"y")


def unicode_path(raw, name, version=1):
    body = struct.pack("<BL", version, zlib.crc32(raw)) + name
    return struct.pack("<HH", 0x7075, len(body)) + body


def test_a_unicode_path_says_the_name(pack_bytes):
    raw = b"??/1.jpg"
    path = pack_bytes(raw, extra=[struct.pack("<HH", 0x5455, 1) + b"x" + unicode_path(raw, "寿司/1.jpg".encode())])
    assert [(entry.name, entry.guessed, entry.read()) for entry in entries(path, LIMITS)] == [
        ("寿司/1.jpg", None, b"x")
    ]


@pytest.mark.parametrize(
    "field",
    [
        unicode_path(b"another", "寿司".encode()),
        unicode_path(b"a/1.jpg", "寿司".encode(), version=2),
    ],
)
def test_a_unicode_path_that_is_of_another_name_or_none_says_nothing(pack_bytes, field):
    assert verdicts(pack_bytes(b"a/1.jpg", extra=[field])) == [("a/1.jpg", b"x")]


def test_a_unicode_path_is_no_safer(pack_bytes):
    path = pack_bytes(b"a/1.jpg", extra=[unicode_path(b"a/1.jpg", b"..\\evil.jpg")])
    assert verdicts(path) == [("..\\evil.jpg", "unsafe_path")]


@pytest.mark.parametrize(
    "name",
    [
        "__MACOSX/cat/._1.jpg",
        ".DS_Store",
        "cat/.1.jpg",
        "Thumbs.db",
        "cat/desktop.ini",
        "cat\\Thumbs.db",
        "cat/Icon\r",
        "cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
        "$RECYCLE.BIN/S-1-5-21/$R1.jpg",
    ],
)
def test_what_systems_leave_behind_is_passed_over(pack, name):
    assert verdicts(pack((name, b"x"))) == [(name, "ignored_entry")]


def test_only_the_mac_s_own_icon_may_have_a_line_s_end(pack):
    path = pack(("cat/myIcon\r", b"x"), ("Icon\r/1.jpg", b"x"))
    assert verdicts(path) == [("cat/myIcon\r", "unsafe_path"), ("Icon\r/1.jpg", "unsafe_path")]


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
    ours = [tracemalloc.Filter(True, place) for place in (zipfile.__file__, "*/tsukiji/archive/*")]
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
