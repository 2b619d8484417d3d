"""Guesses the code page of file names that an archive stores as bytes, from all names together.

Libraries that guess encodings need sentences; folder names are a few letters each. Code pages are distinguished by how
common the resulting characters are, and whether they go together in a word.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

SAMPLE_BYTES: Final = 2**15
"""Most bytes of distinct names to look at: more would take time without improving the guess."""
DIGITS: Final = re.compile(rb"[0-9]+")
WORD: Final = re.compile(r"[^\W\d_]+")

Script = Literal["latin", "cyrillic", "greek", "hebrew", "arabic", "thai", "han", "kana", "hangul"]

COMMON: Final[dict[Script, tuple[str, ...]]] = {
    "latin": ("éèàùçêâîôûëïüöäßñáíóúåæøãõœ", "ąćęłńśźżčďěňřšťůžýőűğşıțșđ"),
    "cyrillic": ("оеаинтсрвлкм", "дпуяыьгзбчйі", "хжшюцщэфъёїєґў"),
    "greek": ("αοιετσνηυρπκμλςάίόέ", "ωγδχθύήώφβξζψ"),
    "hebrew": ("יוהלאמרתבשנ", "חדעקפכםגטסזןצךףץ"),
    "arabic": ("اليمنرتودبهعسكفة", "قحجشطصخءزأذضغثظئىؤإآ"),
    "thai": ("านรกอเงมยลวดทสตปบคขแใไะ่้ัีิ", "หจพชผถซศณฟภโธญฐษ์ุู็๊ำึืๆฮฝฉฬฏฎฑฌฒฆฯ"),
    "kana": ("".join(map(chr, range(0x3041, 0x30FF))),),
    "hangul": (
        (
            "가각간갈감강개거건검게겨격견결경계고곡골공과관광교구국군권귀규그근금급기긴길김까꽃나난날남내너네년노녹농누눈는능"
            "니늘다단달담당대더덕도독돌동돼두드득들등디따때또라락란람랑래량러레려력련령로록론료루류르름리린림마막만말망매머먹"
            "면명모목몽무문물미민바박반발밤방배백버번벌범법베변별병보복본봄부북분불비빈빙빵빨사산살삼상새색생서석선설성세소속"
            "손송수숙순술스습승시식신실심싸아안알암앙애야약양어언얼엄업에여역연열염영예오온옥올와완왕외요욕용우운울원월위유육"
            "윤으은을음응의이인일임입자작잔장재저적전점정제조족존종좌주죽준중즈즉증지직진질집차참창채책처천철첫청체초촌총최추"
            "축출충취치친칠침카칼커컵코콜콩쿠크키타탈태터토통투트특티파판팔패퍼편평포표품풍프피필하학한할함합항해햄행향허험현"
            "형호혹홍화확환황회효후훈휴흑희흰히힘"
        ),
    ),
}
"""The letters of each script, the most common first; unlisted ones are rare, or of no living language."""
RANK_VALUES: Final = (1.0, 0.75, 0.5)
DENSE: Final[dict[Script, float]] = {"thai": 0.85, "arabic": 0.95, "hebrew": 0.95, "greek": 0.95}
"""Factors for scripts whose code pages have a letter for nearly every byte, so that anything looks like words."""
RARE: Final = 0.25
FIRST_HAN: Final = 0.9
"""Value of a character in a code page's first level, which holds the common ones."""
CAPITAL: Final = 0.85
FINALS: Final = "ςךםןףץ"
"""Letters that only end a word."""
OUT_OF_PLACE: Final = 0.3
"""Factor for a letter among those of another script, or in a word with capitals in the middle."""


def _lead(first: int, last: int) -> Callable[[bytes], bool]:
    return lambda raw: len(raw) == 2 and first <= raw[0] <= last


def _gb_first(raw: bytes) -> bool:
    return len(raw) == 2 and 0xB0 <= raw[0] <= 0xD7 and raw[1] >= 0xA1


def _none(_: bytes) -> bool:
    return False


CODE_PAGES: Final[dict[str, tuple[frozenset[Script], Callable[[bytes], bool]]]] = {
    "cp932": (frozenset({"han", "kana"}), _lead(0x88, 0x97)),
    "gb18030": (frozenset({"han"}), _gb_first),
    "big5": (frozenset({"han"}), _lead(0xA4, 0xC6)),
    "cp949": (frozenset({"hangul"}), _none),
    "cp437": (frozenset({"latin"}), _none),
    "cp850": (frozenset({"latin"}), _none),
    "cp1252": (frozenset({"latin"}), _none),
    "cp852": (frozenset({"latin"}), _none),
    "cp1250": (frozenset({"latin"}), _none),
    "cp857": (frozenset({"latin"}), _none),
    "cp1254": (frozenset({"latin"}), _none),
    "cp866": (frozenset({"cyrillic"}), _none),
    "cp1251": (frozenset({"cyrillic"}), _none),
    "koi8-r": (frozenset({"cyrillic"}), _none),
    "cp737": (frozenset({"greek"}), _none),
    "cp1253": (frozenset({"greek"}), _none),
    "cp862": (frozenset({"hebrew"}), _none),
    "cp1255": (frozenset({"hebrew"}), _none),
    "cp1256": (frozenset({"arabic"}), _none),
    "cp874": (frozenset({"thai"}), _none),
}
"""By name: the scripts it is for, and which of its Han characters are common; the first wins a tie."""
RANKS: Final[dict[str, tuple[Script, float]]] = {
    char: (script, value * DENSE.get(script, 1))
    for script, ranks in COMMON.items()
    for chars, value in zip(ranks, RANK_VALUES, strict=False)
    for char in chars
}


@dataclass
class Unsaid:
    """Names as bytes, collected to guess their code page: distinct parts of paths without digits, some kilobytes."""

    parts: dict[bytes, None] = field(default_factory=dict)
    room: int = SAMPLE_BYTES

    def add(self, name: bytes) -> None:
        for part in DIGITS.sub(b"", name).split(b"/"):  # not by `\\`: half of a character in some code pages
            if self.room > 0 and not part.isascii() and part not in self.parts:
                self.parts[part] = None
                self.room -= len(part)

    def guess(self) -> str | None:
        """Return the code page that fits the names best; UTF-8 if most names are valid UTF-8; None if none fits."""
        if 2 * sum(map(is_utf8, self.parts)) > len(self.parts):
            return "utf-8"
        found = {page: value for page in CODE_PAGES if (value := _suits(page, self.parts)) > 0}
        return max(found, key=lambda page: found[page], default=None)


@dataclass(frozen=True)
class Spelling:
    """How to decode names that an archive stores as bytes.

    Attributes:
        encoding: the code page of all names, given or guessed; None if none fits.
        otherwise: decodes names invalid in that code page; accepts all bytes.
        is_guessed: otherwise given by the sender.
        utf8_first: decode valid UTF-8 names as such, regardless of the others: a disk has names from many programs.
    """

    encoding: str | None
    otherwise: str
    is_guessed: bool = False
    utf8_first: bool = False

    def read(self, raw: bytes) -> tuple[str, str | None]:
        """Return a name, and the code page if it was guessed. Names are decoded as a whole, never in parts."""
        for encoding in ("utf-8", self.encoding) if self.utf8_first else (self.encoding, "utf-8"):
            with suppress(UnicodeDecodeError):
                if encoding is not None:
                    return raw.decode(encoding), encoding if self.is_guessed and encoding != "utf-8" else None
        return raw.decode(self.otherwise), self.otherwise


def spelling_of(names: Iterable[bytes]) -> Spelling:
    """Return how to decode names of a disk, or of a tar, whose names were written by many programs."""
    unsaid = Unsaid()
    for raw in names:
        if not is_utf8(raw):
            unsaid.add(raw)
    return Spelling(unsaid.guess(), "latin-1", is_guessed=True, utf8_first=True)


def is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _suits(page: str, parts: dict[bytes, None]) -> float:
    """Return the mean value of the non-ASCII characters, 0 to 1; 0 if a name is invalid in the code page."""
    total, count = 0.0, 0
    for part in parts:
        try:
            text = part.decode(page)
        except UnicodeDecodeError:
            return 0
        for value in _values(text, page):
            total += value
            count += 1
    return total / count if count else 0


def _values(text: str, page: str) -> Iterator[float]:
    at = 0
    for word in WORD.finditer(text):
        yield from (0 for char in text[at : word.start()] if not char.isascii())
        yield from _word_values(word[0], page)
        at = word.end()
    yield from (0 for char in text[at:] if not char.isascii())


def _word_values(word: str, page: str) -> Iterator[float]:
    scripts, is_first = CODE_PAGES[page]
    has_ascii = any(char.isascii() for char in word)
    torn = any(before.islower() and after.isupper() for before, after in pairwise(word))
    for place, char in enumerate(word):
        if char.isascii():
            continue
        script, value = _script(char, is_first, page)
        if script not in scripts or (char in FINALS and place < len(word) - 1):
            yield 0
        elif torn or has_ascii != (script == "latin"):
            yield value * OUT_OF_PLACE
        else:
            yield value * (CAPITAL if char.isupper() and not word.istitle() else 1)


def _script(char: str, is_first: Callable[[bytes], bool], page: str) -> tuple[Script | None, float]:
    """Return the script of a letter, and how common it is."""
    if found := RANKS.get(char.lower()):
        return found
    if "\uac00" <= char <= "\ud7a3":
        return "hangul", RARE
    if "\u4e00" <= char <= "\u9fff":
        return "han", FIRST_HAN if is_first(char.encode(page)) else RARE
    return None, 0
