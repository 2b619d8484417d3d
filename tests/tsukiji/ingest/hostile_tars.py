"""Tars that no honest program writes, plain and packed, and what must become of each: as in `hostile_zips`."""

import bz2
import gzip
import lzma
import random
import tarfile
import zlib

from tests.tsukiji.ingest.archives.test_tars import header, member, pax, tar

WHOLE, OUTSIDE, BAD = "archive_unreadable", "unsafe_path", "unreadable_entry"
GOOD = ("good.jpg", b"y")
Y = member("good.jpg", b"y")
GNU = b"ustar  \0"
NOISE = random.Random(1).randbytes(2**18)


def named(name, verdict=OUTSIDE, told=None):
    return tar(member(name, b"x"), Y), [(name if told is None else told, verdict), GOOD]


def block(data):
    return data + bytes(-len(data) % 512)


def longname(name, kind=b"L"):
    return header(b"././@LongLink", len(name) + 1, kind, GNU) + block(name + b"\0")


def base256(size):
    return (1 << 95 | size).to_bytes(12, "big")


def thing(kind, told="a.jpg", verdict=OUTSIDE, **fields):
    return tar(member("a.jpg", kind=kind, linkname="/etc/passwd", **fields), Y), [(told, verdict), GOOD]


def packed_with_name(data):
    """A gzip whose header has a name without end."""
    return b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 2**23 + data


def wrong_sum(data):
    packed = bytearray(gzip.compress(data))
    packed[-8] ^= 1
    return bytes(packed)


def zeros(count, size=2**22):
    """A tar of zeros, packed a thousandfold."""
    squeezer = zlib.compressobj(9, wbits=31)
    parts = [squeezer.compress(member(f"{number}.bmp", bytes(size))) for number in range(count)]
    return b"".join([*parts, squeezer.compress(bytes(1024)), squeezer.flush()])


SPARSE = pax(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__realsize=str(2**50))
TRUE = tar(*(member(f"{number}.jpg", b"x" * 700) for number in range(9)))

NAMES = {
    "parent": named("../evil.jpg"),
    "parent inside": named("a/../../evil.jpg"),
    "absolute": named("/etc/cron.d/evil"),
    "drive": named("C:\\evil.jpg"),
    "share": named("\\\\server\\share\\x.jpg"),
    "line break": named("a\nb.jpg"),
    "escape sequence": named("a\x1b[2Jb.jpg"),
    "link": thing(tarfile.SYMTYPE),
    "hard link": thing(tarfile.LNKTYPE),
    "character device": thing(tarfile.CHRTYPE, devmajor=1, devminor=8),
    "block device": thing(tarfile.BLKTYPE, devmajor=8),
    "pipe": thing(tarfile.FIFOTYPE),
    "volume": thing(b"V"),
    "part of a file": thing(b"M"),
    "listing of GNU": thing(b"D"),
    "unknown kind": thing(b"\xff"),
    "hard link to what is outside": (
        tar(member("a", kind=tarfile.LNKTYPE, linkname="../../secret"), member("a", b"x")),
        [("a", OUTSIDE), ("a", b"x")],
    ),
    "long name that leads outside": (
        tar(longname(b"../" * 90 + b"evil.jpg"), header(b"a", 1, magic=GNU), block(b"x"), Y),
        [("../" * 90 + "evil.jpg", OUTSIDE), GOOD],
    ),
    "long name, then another": (
        tar(longname(b"b.jpg"), longname(b"../c.jpg"), header(b"a", 1, magic=GNU), block(b"x")),
        [("../c.jpg", OUTSIDE)],
    ),
    "long name with a NUL": (
        tar(longname(b"b.jpg\0/../../c"), header(b"a", 1, magic=GNU), block(b"x")),
        [("b.jpg", b"x")],
    ),
    "long name of nothing": (tar(longname(b"b.jpg")), WHOLE),
    "long name of a megabyte": (tar(header(b"l", 2**20 + 1, b"L", GNU), bytes(2**20 + 512), Y), WHOLE),
    "path of pax": (tar(pax(path="/etc/evil.jpg"), member("a", b"x")), [("/etc/evil.jpg", OUTSIDE)]),
    "right to left": named("cat\u202egpj.exe", b"x"),
    "reserved by Windows": named("con", b"x"),
    "no name": (tar(header(b"", 1), block(b"x"), Y), [("", OUTSIDE), GOOD]),
    "not UTF-8": (tar(member("寿司.jpg", b"x"), header(b"\xff\xfe.jpg", 1), block(b"x")),
                  [("寿司.jpg", b"x"), ("яю.jpg", b"x")]),
    "the same, decomposed": (
        tar(member("é.jpg", b"x"), member("e\u0301.jpg", b"z")),
        [("é.jpg", b"x"), ("é.jpg", "duplicate_entry")],
    ),
    "the same but for case": (tar(member("a.jpg", b"x"), member("A.jpg", b"z")), [("a.jpg", b"x"), ("A.jpg", b"z")]),
}  # fmt: skip

CONTENTS = {
    "sparse of GNU": (tar(header(b"a.jpg", 512, b"S", GNU), bytes(512), Y), [("a.jpg", BAD), GOOD]),
    "sparse of pax": (tar(SPARSE, header(b"a.jpg", 512), bytes(512), Y), [("a.jpg", BAD), GOOD]),
    "size of pax too high": (tar(pax(size=str(2**60)), header(b"a.jpg", 1), block(b"x"), Y), WHOLE),
    "size of pax of 400 digits": (tar(pax(size="9" * 400), header(b"a.jpg", 1), block(b"x"), Y), WHOLE),
    "size of pax below zero": (tar(pax(size="-512"), header(b"a.jpg", 1), block(b"x"), Y), WHOLE),
    "length of pax too high": (tar(header(b"x", 99, b"x"), block(b"99999999999 path=b\n"), Y), WHOLE),
    "length of pax of zero": (tar(header(b"x", 99, b"x"), block(b"0 path=b\n"), Y), WHOLE),
    "pax without end": (tar(*[pax(comment="x")] * 99, Y), WHOLE),
    "pax for all": (tar(header(b"g", 12, b"g"), block(b"12 path=b.j\n"), Y), [GOOD]),
    "size of 2**90": (tar(header(b"a.jpg", raw_size=base256(2**90)), block(b"x"), Y), WHOLE),
    "size below zero": (tar(header(b"a.jpg", raw_size=b"\xff" * 12), block(b"x"), Y), WHOLE),
    "size that is none": (tar(header(b"a.jpg", raw_size=b"zzzzzzzzzzz\0"), block(b"x"), Y), WHOLE),
    "larger than the file": (tar(header(b"a.jpg", 2**21), block(b"x"), Y), WHOLE),
    "too large": (tar(member("a.jpg", bytes(2**22 + 1)), Y), [("a.jpg", "entry_too_large"), GOOD]),
    "zip inside": (tar(member("a.jpg", b"PK\3\4"), Y), [("a.jpg", "nested_archive"), GOOD]),
    "tar inside": (tar(member("a.jpg", TRUE), Y), [("a.jpg", "nested_archive"), GOOD]),
    "gzip inside": (tar(member("a.jpg", gzip.compress(TRUE)), Y), [("a.jpg", "nested_archive"), GOOD]),
    "folder with bytes": (tar(header(b"a/", 512, b"5"), Y), [GOOD]),
}

WHOLES = {
    "wrong sum": (TRUE[:100] + b"\1" + TRUE[101:], WHOLE),
    **{f"cut at {part}%": (TRUE[: len(TRUE) * part // 100], WHOLE) for part in (3, 25, 55, 80)},
    "end missing": (TRUE[:-1024], [(f"{number}.jpg", b"x" * 700) for number in range(9)]),
    "two in a row": (tar(Y) + tar(member("b.jpg", b"x")), [GOOD]),
    "zeros alone": (bytes(2**20), []),
    "many entries": (tar(*(member(f"{number}.jpg") for number in range(51))), "archive_too_many_entries"),
    "gzip cut": (gzip.compress(tar(member("a.jpg", NOISE)))[:-2000], WHOLE),
    "gzip with a wrong sum": (wrong_sum(tar(Y)), [GOOD]),
    "gzip in two parts": (gzip.compress(tar(Y)[:700]) + gzip.compress(tar(Y)[700:]), [GOOD]),
    "gzip with more behind it": (gzip.compress(tar(Y)) + b"evil" * 99, [GOOD]),
    "gzip of a gzip": (gzip.compress(gzip.compress(TRUE)), WHOLE),
    "gzip of nothing": (gzip.compress(b""), []),
    "gzip with a name without end": (packed_with_name(TRUE), WHOLE),
    "gzip of nothing, 200,000 times": (gzip.compress(b"") * 200_000, WHOLE),
    "gzip of unknown method": (b"\x1f\x8b\x09" + bytes(600), WHOLE),
    "gzip bomb": (zeros(20), "archive_too_large"),
    "gzip bomb of one": (zeros(1), "archive_too_large"),
    "gzip bomb in a header": (gzip.compress(tar(header(b"l", 2**30, b"L", GNU), bytes(2**22))), WHOLE),
    "bzip2": (bz2.compress(TRUE), WHOLE),
    "bzip2 bomb": (bz2.compress(bytes(2**26)), WHOLE),
    "xz": (lzma.compress(TRUE), WHOLE),
    "xz bomb": (lzma.compress(bytes(2**24)), WHOLE),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(600), WHOLE),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(600), WHOLE),
    "rar": (b"Rar!\x1a\x07\x01\0" + bytes(600), WHOLE),
}
TARS = {f"tar: {name}": case for kind in (NAMES, CONTENTS, WHOLES) for name, case in kind.items()}
