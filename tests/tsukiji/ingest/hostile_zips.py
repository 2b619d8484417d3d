"""Zips that no honest program writes, and what must become of each: verdicts by name, or the code for the whole."""

import struct
import zlib
from dataclasses import dataclass, replace

STORED, DEFLATED = 0, 8
UTF8 = 0x800
WHOLE, OUTSIDE, BAD = "archive_unreadable", "unsafe_path", "unreadable_entry"
GOOD = ("good.jpg", b"y")


@dataclass(frozen=True)
class File:
    """One entry; what is None tells the truth."""

    name: bytes = b"a.jpg"
    data: bytes = b"x"
    method: int = STORED
    flags: int = UTF8
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    packed: bytes | None = None
    mode: int = 0
    extra: bytes = b""
    comment: bytes = b""
    local: bytes | None = None
    """Name in the entry's own header."""
    offset: int | None = None
    disk: int = 0

    @property
    def bytes_stored(self):
        if self.packed is not None:
            return self.packed
        if self.method != DEFLATED:
            return self.data
        squeezer = zlib.compressobj(9, wbits=-15)
        return squeezer.compress(self.data) + squeezer.flush()

    def fields(self):
        crc = zlib.crc32(self.data) if self.crc is None else self.crc
        packed = len(self.bytes_stored) if self.packed_size is None else self.packed_size
        size = len(self.data) if self.size is None else self.size
        return struct.pack("<HHHHHLLL", 20, self.flags, self.method, 0, 33, crc, packed, size)

    def body(self):
        name = self.name if self.local is None else self.local
        return b"PK\3\4" + self.fields() + struct.pack("<HH", len(name), 0) + name + self.bytes_stored

    def record(self, offset):
        lengths = struct.pack("<HHH", len(self.name), len(self.extra), len(self.comment))
        place = struct.pack("<HHLL", self.disk, 0, self.mode << 16, offset if self.offset is None else self.offset)
        made = b"PK\1\2" + struct.pack("<BB", 20, 3 if self.mode else 0) + self.fields() + lengths + place
        return made + self.name + self.extra + self.comment


Y = File(b"good.jpg", b"y")


def zipped(*files, before=b"", after=b"", comment=b"", count=None, size=None, offset=None, end64=b""):
    """Return the archive; `count`, `size` and `offset` are what its last record claims of the listing."""
    body, listing = bytearray(before), bytearray()
    for file in files:
        listing += file.record(len(body) - len(before))
        body += file.body()
    start, found = len(body) - len(before), len(files)
    claims = [found if count is None else count, len(listing) if size is None else size]
    end = b"PK\5\6" + struct.pack(
        "<HHHHLLH", 0, 0, claims[0] & 0xFFFF, claims[0] & 0xFFFF, claims[1] & 0xFFFFFFFF,
        (start if offset is None else offset) & 0xFFFFFFFF, len(comment),
    )  # fmt: skip
    return bytes(body + listing + end64 + end + comment + after)


def zip64_end(count, size, offset):
    """Return the 64-bit end with its locator."""
    end = b"PK\6\6" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, count, count, size, offset)
    return end + b"PK\6\7" + struct.pack("<LQL", 0, 0, 1)


def zip64_sizes(size, packed):
    return struct.pack("<HHQQ", 1, 16, size, packed)


def sized(**fields):
    return File(size=0xFFFFFFFF, packed_size=0xFFFFFFFF, **fields)


def unicode_path(name, true_name):
    return struct.pack("<HHBL", 0x7075, 5 + len(true_name), 1, zlib.crc32(name)) + true_name


def named(name, verdict=OUTSIDE, told=None):
    """An archive with a file of this name, and one that is good."""
    raw = name if isinstance(name, bytes) else name.encode()
    told = told if told is not None else raw.decode()
    return zipped(File(raw), Y), [(told, verdict), GOOD]


def alone(file, verdict, told="a.jpg"):
    return zipped(file, Y), [(told, verdict), GOOD]


def shared():
    """David Fifield's bomb: all records name the same bytes."""
    kernel = File(b"0.bmp", bytes(2**20), DEFLATED)
    files = [kernel, *(replace(kernel, name=f"{number}.bmp".encode(), offset=0) for number in range(1, 20))]
    return zipped(*files)


INNER = zipped(File(b"inner.jpg", bytes(2**20), DEFLATED))
ZEROS = bytes(3 * 2**20)
LONG = b"x" * 60_000
TRUNCATED = zipped(*(File(f"{number}.jpg".encode(), b"x" * 99) for number in range(20)))

NAMES = {
    "parent": named("../evil.jpg"),
    "parent inside": named("a/b/../../../evil.jpg"),
    "parent at the end": named("a/.."),
    "absolute": named("/etc/cron.d/evil"),
    "drive": named("C:/evil.jpg"),
    "drive, relative": named("c:evil.jpg"),
    "backslashes": named("..\\..\\evil.jpg"),
    "mixed slashes": named("a\\../..\\evil.jpg"),
    "share": named("\\\\server\\share\\x.jpg"),
    "device of Windows": named("\\\\.\\C:\\x"),
    "NUL": named(b"evil.jpg\0.txt"),
    "NUL alone": named(b"\0"),
    "line break": named("a\nb.jpg"),
    "escape sequence": named("a\x1b[2Jb.jpg"),
    "deleted": named("a\x7f.jpg"),
    "dots alone": named(".", told="."),
    "no name": named(b"", told=""),
    "link": alone(File(mode=0o120777, data=b"/etc/passwd"), OUTSIDE),
    "character device": alone(File(mode=0o020666), OUTSIDE),
    "block device": alone(File(mode=0o060666), OUTSIDE),
    "pipe": alone(File(mode=0o010666), OUTSIDE),
    "socket": alone(File(mode=0o140666), OUTSIDE),
    "file below a link": (
        zipped(File(b"a", mode=0o120777, data=b"/etc"), File(b"a/passwd")),
        [("a", OUTSIDE), ("a/passwd", b"x")],
    ),
    "set-user-id": alone(File(mode=0o104777), b"x"),
    "reserved by Windows": named("aux/con.jpg", b"x"),
    "stream of NTFS": named("a.jpg:evil", b"x"),
    "spaces and dots at the end": named("a /b. . ", b"x"),
    "right to left": named("cat\u202egpj.exe", b"x"),
    "invisible": named("a\u200b.jpg", b"x"),
    "emoji": named("🍣" * 200 + ".jpg", b"x"),
    "60,000 letters": named(LONG, b"x"),
    "20,000 folders": named(b"a/" * 20_000 + b"b.jpg", b"x"),
    "says UTF-8, is not": (zipped(File(b"\xff\xfe.jpg"), Y), [("яю.jpg", BAD), GOOD]),
    "another name in its header": alone(File(local=b"../b.jpg"), BAD),
    "another name in Unicode": alone(
        File(b"a.jpg", flags=0, extra=unicode_path(b"a.jpg", b"../evil.jpg")), OUTSIDE, "../evil.jpg"
    ),
    "the same name": (zipped(File(), File(data=b"z")), [("a.jpg", b"x"), ("a.jpg", "duplicate_entry")]),
    "the same but for case": (zipped(File(), File(b"A.jpg", b"z")), [("a.jpg", b"x"), ("A.jpg", b"z")]),
    "the same, decomposed": (
        zipped(File("é.jpg".encode()), File("e\u0301.jpg".encode(), b"z")),
        [("é.jpg", b"x"), ("é.jpg", "duplicate_entry")],
    ),
    "the same, by another way": (
        zipped(File(b"b/a.jpg"), File(b"./b//./a.jpg")),
        [("b/a.jpg", b"x"), ("b/a.jpg", "duplicate_entry")],
    ),
    "folder with bytes": (zipped(File(b"a/", b"hidden"), Y), [GOOD]),
}

CONTENTS = {
    "wrong CRC": alone(File(crc=1), BAD),
    "encrypted": alone(File(flags=UTF8 | 1), "encrypted_entry"),
    "encrypted strongly": alone(File(flags=UTF8 | 0x41), "encrypted_entry"),
    "names masked": alone(File(flags=UTF8 | 0x2041), "encrypted_entry"),
    "patch data": alone(File(flags=UTF8 | 0x20), BAD),
    **{
        f"method {method}": alone(File(method=method), BAD)
        for method in (1, 6, 9, 12, 14, 20, 93, 95, 96, 97, 98, 99, 65535)
    },
    "claims more": alone(File(size=500), BAD),
    "claims less": alone(File(data=b"x" * 99, size=5), BAD),
    "claims more, packed": alone(File(data=b"x" * 99, method=DEFLATED, packed_size=2000), b"x" * 99),
    "claims less, packed": alone(File(data=b"x" * 99, method=DEFLATED, packed_size=1), BAD),
    "claims no bytes": alone(File(data=b"x" * 99, method=DEFLATED, size=0), BAD),
    "no deflate": alone(File(method=DEFLATED, packed=b"\xff" * 50), BAD),
    "deflate of nothing": alone(File(method=DEFLATED, packed=b""), BAD),
    "more after the end of deflate": alone(
        File(data=b"x", method=DEFLATED, packed=File(method=DEFLATED).bytes_stored + b"evil" * 9), b"x"
    ),
    "begins in nothing": alone(File(offset=0x7FFFFFFF), BAD),
    "begins in the listing": alone(File(offset=85), BAD),
    "begins in another": (zipped(Y, File(offset=0)), [GOOD, ("a.jpg", BAD)]),
    "on another disk": alone(File(disk=7), b"x"),
    "itself": alone(File(data=INNER), "nested_archive"),
    "by its name": alone(File(b"r/r.zip"), "nested_archive", "r/r.zip"),
    "of an archive's archive": (zipped(File(data=zipped(File(data=INNER)))), [("a.jpg", "nested_archive")]),
    "bomb": alone(File(data=ZEROS, method=DEFLATED), "entry_too_large"),
    "bomb that claims to be small": alone(File(data=ZEROS, method=DEFLATED, size=100), BAD),
    "too large": alone(File(data=bytes(2**22 + 1)), "entry_too_large"),
    "shared bytes": (
        shared(),
        [(f"{number}.bmp", BAD if number else bytes(2**20)) for number in range(20)],
    ),
}

WHOLES = {
    "nothing": (b"", WHOLE),
    "end alone": (b"PK\5\6" + bytes(18), []),
    "end cut": (b"PK\5\6" + bytes(5), WHOLE),
    "text": (b"PK\3\4 is how it begins", WHOLE),
    **{f"cut at {part}%": (TRUNCATED[: len(TRUNCATED) * part // 100], WHOLE) for part in (1, 25, 50, 75, 95, 99)},
    "cut at its beginning": (TRUNCATED[50:], [("0.jpg", BAD), *((f"{n}.jpg", b"x" * 99) for n in range(1, 20))]),
    "more behind it": (zipped(Y, after=b"evil" * 99), [GOOD]),
    "something before it": (zipped(Y, before=b"#!/bin/sh\n" * 9), [GOOD]),
    "two in a row": (zipped(File()) + zipped(Y), [GOOD]),
    "another end in its comment": (zipped(Y, comment=b"PK\5\6" + bytes(18)), []),
    "comment of 65,535 bytes": (zipped(Y, comment=b"c" * 65_535), [GOOD]),
    "listing too long": (zipped(Y, size=2**31), WHOLE),
    "listing too short": (zipped(Y, size=10), WHOLE),
    "listing elsewhere": (zipped(Y, offset=2**31), [("good.jpg", BAD)]),
    "count too high": (zipped(Y, count=65_534), [GOOD]),
    "count too low": (zipped(File(), Y, count=0), [("a.jpg", b"x"), GOOD]),
    "64-bit end that lies": (zipped(Y, end64=zip64_end(2**60, 2**60, 2**60)), WHOLE),
    "64-bit end of 2**64": (zipped(Y, end64=zip64_end(2**64 - 1, 2**64 - 1, 2**64 - 1)), WHOLE),
    "many entries": (zipped(*(File(f"{number}.jpg".encode()) for number in range(51))), "archive_too_many_entries"),
    "huge listing": (
        zipped(*(File(f"{n}".encode(), comment=b"c" * 65_000) for n in range(99))),
        "archive_too_many_entries",
    ),
    "64-bit size": (zipped(sized(extra=zip64_sizes(2**40, 1))), "archive_too_large"),
    "64-bit size of 2**63": (zipped(sized(extra=zip64_sizes(2**63, 1))), "archive_too_large"),
    "64-bit size is missing": (zipped(sized()), "archive_too_large"),
    "64-bit size cut": (zipped(sized(extra=struct.pack("<HHL", 1, 4, 9))), WHOLE),
    "extra field cut": (zipped(File(extra=b"\1\0\xff\xff")), WHOLE),
    "sum of all": (
        zipped(*(File(f"{n}.bmp".encode(), b"x", size=2**22) for n in range(40))),
        "archive_too_large",
    ),
}
ZIPS = {f"zip: {name}": case for kind in (NAMES, CONTENTS, WHOLES) for name, case in kind.items()}
