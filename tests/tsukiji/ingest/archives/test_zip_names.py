"""Names in zips: as their makers meant them, and nothing that leads outside."""

import stat
import struct
import unicodedata
import zipfile
import zlib

import pytest

from tests.tsukiji.ingest.archives.zipped import LIMITS, STORED, patch, verdicts
from tsukiji.ingest.archives import entries


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
