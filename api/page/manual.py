"""Markdown to pages: headings with addresses, links between pages, and a search in their sections."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

FOLDER: Final = Path(__file__).parents[2] / "docs"
INDEX: Final = "README"
MOST: Final = 30
SCROLL: Final = '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>'
AROUND: Final = 90
"""Characters that a hit shows on each side of the first word."""


@dataclass(frozen=True)
class Section:
    """What is between two headings: where the search leads to."""

    heading: str
    anchor: str
    text: str


@dataclass(frozen=True)
class Page:
    name: str
    title: str
    html: Markup
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Hit:
    page: Page
    section: Section
    excerpt: Markup

    @property
    def address(self) -> str:
        return f"{address(self.page.name)}#{self.section.anchor}"


@cache
def names() -> frozenset[str]:
    """Return the pages by their paths without suffix, such as `how-to/gpu`."""
    return frozenset(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.md"))


def address(name: str) -> str:
    return "/help" if name == INDEX else f"/help/{name}"


@cache
def page(name: str) -> Page:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("table_open", lambda *_: SCROLL)
    parser.add_render_rule("table_close", lambda *_: "</table></div>")
    tokens = parser.parse((FOLDER / f"{name}.md").read_text("utf-8"))
    prepare(tokens, posixpath.dirname(name))
    sections = tuple(split(tokens))
    html = Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - HTML in our own text is escaped
    return Page(name, sections[0].heading, html, sections)


def prepare(tokens: list[Token], folder: str) -> None:
    """Give headings their addresses, lead links to pages here, and leave no style to the tags."""
    for before, token in zip([None, *tokens], tokens, strict=False):
        if before is not None and before.type == "heading_open":
            before.attrSet("id", slug(plain(token)))
        elif token.type in {"th_open", "td_open"} and token.attrs.pop("style", None) == "text-align:right":
            token.attrSet("class", "number")
        for child in token.children or []:
            if child.type == "link_open":
                lead(child, folder)
            elif child.type == "image":
                child.attrSet("src", f"/help/images/{posixpath.basename(str(child.attrs['src']))}")
                child.attrSet("loading", "lazy")


def lead(link: Token, folder: str) -> None:
    """Lead a link to the page here; what the documents do not hold (code, notebooks) is no link."""
    place, mark, anchor = str(link.attrs.pop("href")).partition("#")
    name = posixpath.normpath(posixpath.join(folder, place)).removesuffix(".md")
    if not place:
        link.attrSet("href", f"#{anchor}")
    elif name in names():
        link.attrSet("href", f"{address(name)}{mark}{anchor}")


def slug(heading: str) -> str:
    """Return a heading's address, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def plain(token: Token) -> str:
    return (
        "".join(" " if child.type == "softbreak" else child.content for child in token.children or []) or token.content
    )


def split(tokens: list[Token]) -> Iterator[Section]:
    heading, anchor, parts = "", "", list[str]()
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "heading_open" and heading:
            yield Section(heading, anchor, " ".join(parts))
            parts = []
        if before is not None and before.type == "heading_open":
            heading, anchor = plain(token), slug(plain(token))
        elif token.type in {"inline", "fence", "code_block"}:
            parts.append(" ".join(plain(token).split()))
    yield Section(heading, anchor, " ".join(parts))


@cache
def contents() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Return the groups of the index with their pages: (heading, ((name, title), ...))."""
    groups: list[tuple[str, list[tuple[str, str]]]] = []
    parser = MarkdownIt("commonmark")
    for token in parser.parse((FOLDER / f"{INDEX}.md").read_text("utf-8")):
        children = token.children or []
        for index, child in enumerate(children):
            if child.type == "strong_open":
                groups.append((children[index + 1].content, []))
            elif child.type == "link_open" and str(child.attrs["href"]).endswith(".md"):
                groups[-1][1].append((str(child.attrs["href"]).removesuffix(".md"), children[index + 1].content))
    return tuple((heading, tuple(pages)) for heading, pages in groups)


def search(words: str) -> list[Hit]:
    """Return the sections that have all words, the best first: words of a heading count most."""
    wanted = words.lower().split()
    if not wanted:
        return []
    scored = Counter[tuple[str, int]]()
    for name in names():
        for index, section in enumerate(page(name).sections):
            head, text = f"{page(name).title} {section.heading}".lower(), section.text.lower()
            if all(word in head or word in text for word in wanted):
                score = sum(20 * (word in section.heading.lower()) + 5 * (word in head) for word in wanted)
                scored[name, index] = (
                    score + min(9, sum(text.count(word) for word in wanted)) - 8 * ("decisions/" in name)
                )
    best = sorted(scored, key=lambda place: (-scored[place], place))[:MOST]
    return [
        Hit(page(name), page(name).sections[index], excerpt(page(name).sections[index], wanted)) for name, index in best
    ]


def excerpt(section: Section, wanted: list[str]) -> Markup:
    """Return the text about the first word found, with the words marked."""
    found = [at for word in wanted if (at := section.text.lower().find(word)) >= 0]
    start = max(0, min(found, default=0) - AROUND)
    piece = section.text[start : start + 2 * AROUND + 40]
    marked = re.split(f"({'|'.join(map(re.escape, wanted))})", piece, flags=re.IGNORECASE)
    shown = Markup("").join(
        Markup("<mark>{}</mark>").format(part) if at % 2 else escape(part) for at, part in enumerate(marked)
    )
    return Markup("{}{}{}").format("… " if start else "", shown, " …" if start + len(piece) < len(section.text) else "")
