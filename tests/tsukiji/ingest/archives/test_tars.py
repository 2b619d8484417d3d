"""Tar archives and what may be wrong with them; each kind plain and gzipped where the difference could matter."""

import gzip
import io
import os
import random
import tarfile
import tracemalloc
import unicodedata
import zipfile
from contextlib import suppress

import pytest

from tsukiji import errors
from tsukiji.ingest.archives import ArchiveLimits, entries, is_archive

LIMITS = ArchiveLimits(max_bytes=2**24, max_entries=50, max_expanded_bytes=2**27, max_entry_bytes=2**22, max_ratio=100)
REG, LINK, SYMLINK = tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path, monkeypatch):
    """Whatever an archive holds, reading it leaves no file behind."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    assert list((tmp_path / "here").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} <= {"here", "pictures"}


@pytest.fixture(params=["plain", "gzipped"])
def save(request, tmp_path):
    """Write the bytes of a tar, in both kinds."""

    def write(data):
        path = tmp_path / "pictures"
        path.write_bytes(gzip.compress(data, mtime=0) if request.param == "gzipped" else data)
        return path

    return write


def member(name, data=b"", kind=REG, form=tarfile.PAX_FORMAT, **fields):
    """One member with its headers, as `tarfile` writes it."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(form, "utf-8", "surrogateescape") + data + bytes(-len(data) % 512)


def header(name=b"a.jpg", size=0, kind=b"0", magic=b"ustar\x0000", **fields):
    """One header block as a stranger may write it, with a right checksum."""
    block = bytearray(512)
    block[: len(name)] = name
    block[124:136] = fields.get("raw_size", b"%011o\0" % size)
    block[156:157] = kind
    block[257:265] = magic
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def tar(*members, end=bytes(1024)):
    return b"".join(members) + end


def pax(**records):
    """A pax header of these records (`__` for a dot)."""
    body = b""
    for key, value in records.items():
        line = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(line)
        while len(f"{length}") + len(line) != length:
            length = len(f"{length}") + len(line)
        body += f"{length}".encode() + line
    return header(b"x", len(body), b"x") + body + bytes(-len(body) % 512)


def verdicts(path, limits=LIMITS):
    found = []
    for entry in entries(path, limits):
        try:
            found.append((entry.name, entry.read()))
        except errors.TsukijiError as error:
            found.append((entry.name, error.code))
    return found


def names(path, limits=LIMITS):
    """Only the headers are read, as a count does."""
    return [entry.name for entry in entries(path, limits)]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_good_files_come_out_whole_in_their_order(save, form):
    big = random.Random(1).randbytes(2**21 + 7)
    files = [("cat/2.jpg", b"two"), ("cat/1.jpg", big), ("empty.jpg", b""), ("./dog//3.jpg", b"three")]
    folder = member("cat", kind=tarfile.DIRTYPE, form=form)
    path = save(tar(folder, *(member(name, data, form=form) for name, data in files)))
    wanted = [*files[:3], ("dog/3.jpg", b"three")]
    assert verdicts(path) == wanted
    assert names(path) == [name for name, _ in wanted]
    assert [entry.name for entry in entries(path, LIMITS) if entry.name == "empty.jpg" and entry.read() == b""]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names(save, form):
    name = f"{'long/' * 60}寿司.jpg"
    assert verdicts(save(tar(member(name, b"x", form=form), member("b.jpg", b"y")))) == [(name, b"x"), ("b.jpg", b"y")]


def test_what_the_system_s_own_tar_wrote(save, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number in range(20):
            info = tarfile.TarInfo(f"cat/{number}.jpg")
            info.size = 700 + number
            archive.addfile(info, io.BytesIO(bytes([number]) * info.size))
    found = verdicts(save(buffer.getvalue()))
    assert found == [(f"cat/{number}.jpg", bytes([number]) * (700 + number)) for number in range(20)]


def test_an_empty_archive_has_no_entries(save):
    assert verdicts(save(bytes(10240))) == []


def test_the_blocks_at_the_end_may_be_missing(save):
    assert verdicts(save(tar(member("a.jpg", b"x"), end=b""))) == [("a.jpg", b"x")]
    assert verdicts(save(tar(member("a.jpg", b"x"), end=b"")[:513])) == [("a.jpg", b"x")], "padding, too"


def test_the_oldest_tars_have_no_magic(save):
    path = save(tar(header(b"cat/a.jpg", 1, b"\0", magic=bytes(8)), b"x" + bytes(511), header(b"d/", 0, b"\0")))
    assert verdicts(path) == [("cat/a.jpg", b"x")]


def test_a_tar_that_ends_with_a_zip_is_no_zip(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("inner.jpg", b"x")
    path = tmp_path / "pictures"
    path.write_bytes(tar(member("a.jpg", b"y"), member("more", inner.getvalue())))
    assert zipfile.is_zipfile(path)
    assert verdicts(path) == [("a.jpg", b"y"), ("more", "nested_archive")]


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../evil.jpg",
        "a/../../evil.jpg",
        "a/..",
        "/etc/evil.jpg",
        "C:/evil.jpg",
        "a\\..\\..\\b",
        "C:\\x",
        "a\nb.jpg",
        "a\x7f",
    ],
)
def test_names_that_lead_outside_are_refused(save, name):
    found = verdicts(save(tar(member(name, b"x"), member("good.jpg", b"y"))))
    assert found == [(name, "unsafe_path"), ("good.jpg", b"y")]


def test_a_name_in_an_extended_header_is_no_safer(save):
    path = save(tar(pax(path="../../evil.jpg"), header(b"a.jpg", 1), b"x" + bytes(511)))
    assert verdicts(path) == [("../../evil.jpg", "unsafe_path")]


@pytest.mark.parametrize(
    "kind", [LINK, SYMLINK, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"V", b"M", b"D", b"Z"]
)
def test_links_devices_and_unknown_things_are_refused(save, kind):
    path = save(tar(member("cat/1.jpg", kind=kind, linkname="/etc/passwd"), member("good.jpg", b"y")))
    assert verdicts(path) == [("cat/1.jpg", "unsafe_path"), ("good.jpg", b"y")]


def test_a_link_is_not_followed_by_a_file_of_its_name(save):
    path = save(tar(member("cat", kind=SYMLINK, linkname="/etc"), member("cat/passwd", b"x")))
    assert verdicts(path) == [("cat", "unsafe_path"), ("cat/passwd", b"x")]


def test_a_link_that_claims_bytes_hides_none(save):
    path = save(tar(header(b"link", 512, b"2"), member("good.jpg", b"y")))
    assert verdicts(path) == [("link", "unsafe_path"), ("good.jpg", b"y")]


def test_names_are_composed_and_doubles_found(save):
    composed, decomposed = (unicodedata.normalize(form, "pâté/1.jpg") for form in ("NFC", "NFD"))
    path = save(tar(member(decomposed, b"1"), member(composed, b"2"), member("pâté/./1.jpg", b"3")))
    assert verdicts(path) == [(composed, b"1"), (composed, "duplicate_entry"), (composed, "duplicate_entry")]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1251", "gb18030"])
def test_names_that_are_not_utf8_are_read_as_meant(save, encoding):
    words = {"latin-1": ["pâté", "Bärenmakrele"], "cp1251": ["кошка", "собака"], "gb18030": ["狗", "香蕉"]}[encoding]
    names = [f"{word}/1.jpg" for word in words]
    old = [header(name.encode(encoding), 1) + b"x" + bytes(511) for name in names]
    path = save(tar(member("寿司/1.jpg", b"x"), *old))
    assert verdicts(path) == [("寿司/1.jpg", b"x"), *((name, b"x") for name in names)]
    told, *guessed = [entry.guessed for entry in entries(path, LIMITS)]
    assert told is None
    assert None not in guessed


def test_the_code_page_of_names_may_be_said(save):
    path = save(tar(header("кот/1.jpg".encode("koi8-r"), 1), b"x" + bytes(511)))
    assert [(entry.name, entry.guessed) for entry in entries(path, LIMITS, "koi8-r")] == [("кот/1.jpg", None)]


def test_names_are_guessed_from_what_can_be_read_of_a_damaged_archive(tmp_path):
    good = header("кошка/1.jpg".encode("cp1251"), 1) + b"x" + bytes(511)
    (tmp_path / "pictures").write_bytes(good + b"no header" * 100)
    found = entries(tmp_path / "pictures", LIMITS)
    assert next(found).name == "кошка/1.jpg"
    with pytest.raises(errors.ArchiveUnreadable):
        next(found)


def test_names_that_were_written_on_windows_have_folders(save):
    assert verdicts(save(tar(member("pets\\cat\\1.jpg", b"x")))) == [("pets/cat/1.jpg", b"x")]


@pytest.mark.parametrize("name", ["__MACOSX/cat/._1.jpg", ".DS_Store", "cat/._1.jpg", "Thumbs.db"])
def test_what_systems_leave_behind_is_passed_over(save, name):
    assert verdicts(save(tar(member(name, b"x")))) == [(name, "ignored_entry")]


# --- contents --------------------------------------------------------------------------------------------------------


def test_archives_inside_are_known_by_name_and_content(save):
    path = save(tar(member("more.zip", b"x"), member("cat/1.jpg", b"PK\3\4...."), member("2.jpg", tar(member("a")))))
    assert [verdict for _, verdict in verdicts(path)] == ["nested_archive"] * 3


def test_sparse_files_are_refused_and_their_bytes_passed_over(save):
    old = header(b"old.jpg", 512, b"S", magic=b"ustar  \0") + bytes(512)
    new = pax(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__realsize=str(2**40))
    path = save(tar(old, new, header(b"new.jpg", 512), bytes(512), member("good.jpg", b"y")))
    assert verdicts(path) == [
        ("old.jpg", "unreadable_entry"),
        ("new.jpg", "unreadable_entry"),
        ("good.jpg", b"y"),
    ]


def test_large_entries_are_refused_and_passed_over(save):
    noise = random.Random(1).randbytes(2**22 + 1)
    path = save(tar(member("a.jpg", noise), member("b.jpg", noise[:-1])))
    assert [verdict for _, verdict in verdicts(path)] == ["entry_too_large", noise[:-1]]


def gzipped(tmp_path, *members):
    path = tmp_path / "pictures"
    path.write_bytes(gzip.compress(tar(*members), mtime=0))
    return path


def test_an_entry_that_unpacks_to_too_much_is_refused(tmp_path):
    limits = ArchiveLimits(2**24, 50, 2**27, 2**23, 10)
    noise = random.Random(1).randbytes(2**22)  # so that the whole is not too dense
    path = gzipped(tmp_path, member("good.jpg", noise), member("bomb.bmp", bytes(2**23)), member("b.jpg", b"y"))
    assert [verdict for _, verdict in verdicts(path, limits)] == [noise, "entry_too_large", b"y"]


def test_a_bomb_is_refused_whether_its_entries_are_read_or_passed_over(tmp_path):
    path = gzipped(tmp_path, *(member(f"{number}.bmp", bytes(2**22)) for number in range(20)))
    for look in (verdicts, names):
        with pytest.raises(errors.ArchiveTooLarge, match="times its size"):
            look(path)


@pytest.mark.parametrize("size", [2**40, 2**62])
def test_a_size_that_lies_ends_it_and_takes_no_memory(save, size):
    raw = (0x80 << 88 | size).to_bytes(12, "big")
    path = save(tar(member("a.jpg", b"x"), header(b"b.jpg", raw_size=raw), b"y" * 512))
    tracemalloc.start()
    with pytest.raises((errors.ArchiveUnreadable, errors.ArchiveTooLarge)):
        names(path)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


@pytest.mark.parametrize("raw", [b"\xff" * 12, b"zzzzzzzzzzz\0", b"-0000000001\0"])
def test_sizes_that_are_none(save, raw):
    with pytest.raises(errors.ArchiveUnreadable):
        verdicts(save(tar(member("good.jpg", b"x"), header(b"a.jpg", raw_size=raw))))


@pytest.mark.parametrize("size", ["-1", "1e3", "9" * 30, ""])
def test_sizes_in_extended_headers_that_are_none(save, size):
    with pytest.raises(errors.ArchiveUnreadable):
        verdicts(save(tar(pax(size=size), header(b"a.jpg", 1), b"x" + bytes(511))))


def test_a_size_in_an_extended_header_counts(save):
    path = save(tar(pax(size="3"), header(b"a.jpg", 0), b"abc" + bytes(509), member("b.jpg", b"y")))
    assert verdicts(path) == [("a.jpg", b"abc"), ("b.jpg", b"y")]


@pytest.mark.parametrize("kind", [b"x", b"L", b"g"])
def test_a_header_of_gigabytes_is_not_read(save, kind):
    with pytest.raises(errors.ArchiveUnreadable, match="header alone"):
        verdicts(save(tar(member("good.jpg", b"x"), header(b"long", 2**30, kind), bytes(2**20))))


def test_headers_without_end_are_not_read(save):
    with pytest.raises(errors.ArchiveUnreadable, match="in a row"):
        verdicts(save(tar(*[pax(comment="x")] * 9, member("a.jpg", b"x"))))


@pytest.mark.parametrize("body", [b"no record", b"5 a=b", b"99 a=b\n", b"0 a=b\n", b"-7 a=b\n", b"6 abc\n", b"5 =ab\n"])
def test_extended_headers_that_are_none(save, body):
    broken = header(b"x", len(body), b"x") + body + bytes(-len(body) % 512)
    with pytest.raises(errors.ArchiveUnreadable):
        verdicts(save(tar(broken, member("a.jpg", b"x"))))


# --- the whole -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [512 * 3 + 100, 512 * 4, 512 * 4 + 100, 512 * 7 - 100])
def test_half_an_archive_is_unreadable_read_or_passed_over(save, left):
    whole = tar(member("a.jpg", b"x" * 1024), member("b.jpg", b"y" * 1500))
    path = save(whole[:left])
    for look in (verdicts, names):
        if left == 512 * 7 - 100 and look is names:
            continue  # the last bytes of the last entry are missed by who reads them
        with pytest.raises(errors.ArchiveUnreadable):
            look(path)


def test_half_a_gzip_is_unreadable(tmp_path):
    path = tmp_path / "pictures"
    noise = random.Random(1).randbytes(100_000)
    path.write_bytes(gzip.compress(tar(member("a.jpg", noise)))[:50_000])
    for look in (verdicts, names):
        with pytest.raises(errors.ArchiveUnreadable):
            look(path)


def test_a_damaged_header_is_unreadable(save):
    data = bytearray(tar(member("a.jpg", b"x"), member("b.jpg", b"y")))
    data[1024] ^= 1
    with pytest.raises(errors.ArchiveUnreadable, match="no header"):
        verdicts(save(bytes(data)))


@pytest.mark.parametrize("data", [b"", b"text" * 200, b"BZh9" + bytes(600), b"\xfd7zXZ\0" + bytes(600)])
def test_what_is_no_archive_is_called_so(tmp_path, data):
    path = tmp_path / "pictures"
    path.write_bytes(data)
    with path.open("rb") as file:
        assert not is_archive(file)
    with pytest.raises(errors.ArchiveUnreadable):
        verdicts(path)
    path.write_bytes(gzip.compress(data))
    with pytest.raises(errors.ArchiveUnreadable) if data else _no_entries(path):
        verdicts(path)


class _no_entries:  # noqa: N801 - reads like pytest.raises
    def __init__(self, path):
        self.path = path

    def __enter__(self):
        assert verdicts(self.path) == []

    def __exit__(self, *_):
        pass


def test_archives_have_a_size_packed_and_unpacked(save):
    path = save(tar(*(member(f"{number}.jpg", random.Random(number).randbytes(2**20)) for number in range(3))))
    with pytest.raises(errors.ArchiveTooLarge):
        verdicts(path, ArchiveLimits(2**20, 50, 2**27, 2**22, 100))
    for look in (verdicts, names):
        with pytest.raises(errors.ArchiveTooLarge, match="unpacks to"):
            look(path, ArchiveLimits(2**24, 50, 2**21, 2**22, 100))


def test_archives_have_a_number_of_entries(save):
    files = [member(f"{number}.jpg", b"x") for number in range(51)]
    assert len(verdicts(save(tar(*files[:50])))) == 50
    with pytest.raises(errors.ArchiveTooManyEntries):
        verdicts(save(tar(*files)))


def test_noise_never_raises_anything_else(save):
    """Bent anywhere, an archive is unreadable or its entries are; nothing else happens."""
    whole = tar(member(f"{'long/' * 30}a.jpg", os.urandom(700)), member("b.jpg", b"y" * 600), pax(path="c.jpg"))
    whole += member("c", b"z")
    chance = random.Random(7)
    for _ in range(300):
        bent = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            bent[chance.randrange(len(bent))] = chance.randrange(256)
        with suppress(errors.ArchiveError):
            verdicts(save(bytes(bent)))
