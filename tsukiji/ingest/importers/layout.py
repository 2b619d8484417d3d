"""Matches lines of tables with files, and combines what tables, options and folders say about each file."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import PurePosixPath
from typing import Any, Final

from tsukiji.errors import FileNotSent, LabelRefused, LabelsSeveral, TableInvalid, TableLineInvalid, TsukijiError
from tsukiji.ingest.importers import formats
from tsukiji.ingest.importers.files import CONTAINER, Files
from tsukiji.ingest.importers.folder_labels import use_of
from tsukiji.ingest.importers.folders import Folders
from tsukiji.ingest.importers.items import Item
from tsukiji.ingest.importers.split_words import plain_split
from tsukiji.ingest.importers.table_reader import CSV, JSON_LINES, TEXT, suffix_of
from tsukiji.labels import PLUS, clean_labels, clean_word, folder_labels
from tsukiji.names import from_path
from tsukiji.types import Box, ImportOptions, Kind, Split

FETCHED: Final = ("http://", "https://", "s3://", "file://")
LINES_PER_ITEM: Final = 50
"""A cell may hold line breaks, and lines may be empty; more than this is no table."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A picture's label, split and so on, or why it is refused."""

    label: str | None = None
    """One label, or a set as `tsukiji.labels.join_labels` writes it."""
    split: Split | None = None
    group: str | None = None
    crop: Box | None = None
    error: TsukijiError | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """A picture to fetch from the web."""

    url: str
    placement: Placement


@dataclass(frozen=True, slots=True)
class Table:
    """A file that may be a table; `is_named` if the sender named it as one."""

    name: str
    data: bytes
    is_named: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a table; `is_named` if the sender named the table."""

    table: str
    item: Item
    is_named: bool = False

    def __str__(self) -> str:
        return f"{self.table}, line {self.item.line}"


@dataclass
class Layout:
    """Everything known about the files from tables, and the options for the rest."""

    options: ImportOptions
    kind: Kind = "single_label"
    """Of the data set."""
    tables: set[str] = field(default_factory=set)
    """Names of the files that are tables, and not pictures."""
    placed: dict[str, Placement] = field(default_factory=dict)
    """By the names of the files that a table names."""
    remotes: list[Remote] = field(default_factory=list)
    faults: list[tuple[str, TsukijiError]] = field(default_factory=list)
    """Lines that cannot be used: a name to show, and the reason."""
    warnings: list[dict[str, Any]] = field(default_factory=list)
    has_tables: bool = False
    """A table names pictures; then a folder `images` is no label."""
    has_labels: bool = False
    """A table has labels; then folders do not, see `tsukiji.ingest.importers.folder_labels`."""
    folders: Folders = field(default_factory=lambda: Folders((), {}))

    def place(self, name: str) -> Placement:
        """Return what is known about a file."""
        if name in self.placed:
            return self.placed[name]
        known = Placement(None, self.options.split or self.folders.split(name), self.options.group)
        folder = None if self.has_labels else self.folder_label(name)
        if self.kind == "single_label":
            return with_label(known, name, self.options.label or (folder and from_path(folder)))
        return placed(known, name, self.options.label, folder)

    def folder_label(self, name: str) -> str | None:
        """Return the label that a file's folder gives: the folder's name as it is."""
        folder = self.folders.label(name)
        return None if folder and self.has_tables and CONTAINER.fullmatch(folder) else folder


def lay_out(
    names: Collection[str],
    tables: Sequence[Table],
    options: ImportOptions,
    max_items: int | None = None,
    kind: Kind = "single_label",
    container: str = "",
) -> Layout:
    """Return what tables say about files.

    Args:
        names: of all files, relative and with slashes.
        tables: possible tables, each read completely.
        options: of the import; with format `folders` only named tables are used.
        max_items: most pictures that all tables together may name.
        kind: of the data set.
        container: name or path of the archive or folder.

    Raises:
        TableInvalid: a named table is invalid, or there are too many pictures.
    """
    layout = Layout(options, kind)
    lines: list[Line] = []
    for table in tables:
        for item in read(layout, table, names, max_items):
            lines.append(Line(table.name, item, table.is_named))
            if max_items is not None and len(lines) > max_items:
                raise TableInvalid(f"More than {max_items:,} pictures are named.", hint="Split the table.")
    layout.has_tables = bool(lines)
    layout.has_labels = any(line.item.labels is not None for line in lines)
    have_labels = not layout.has_labels and options.label is None
    pictures = [name for name in names if name not in layout.tables]
    layout.folders = Folders(pictures, options.folders, have_labels=have_labels)
    layout.warnings.extend(layout.folders.warnings)
    if lines:
        settle_all(layout, join(layout, lines, Files(pictures)), pictures)
    note_container(layout, PurePosixPath(container).name, pictures)
    return layout


def note_container(layout: Layout, name: str, pictures: Iterable[str]) -> None:
    """Warn if an archive or folder is named like a split (`test.zip`), but none of its pictures has one."""
    split = plain_split(name.partition(".")[0])
    if split is not None and not any(layout.place(picture).split for picture in pictures):
        detail = (
            f"{name!r} is named like a split, and its pictures have none: the next training draws them. If they are "
            f"of the split {split}, import them into a new data set with `--split {split}`."
        )
        warn(layout, "split_not_set", detail)


def read(layout: Layout, table: Table, names: Collection[str], max_items: int | None) -> Iterator[Item]:
    """Return the items of a table, and record it as one; nothing if it is no table."""
    if layout.options.format == "folders" and not table.is_named:
        return iter(())
    try:
        check_lines(table, max_items)
        told = formats.read(table.name, table.data, layout.options, names, layout.kind)
        items = None if told is None else begun(told.items)
        for note in told.notes if told else ():
            warn(layout, note.code, f"{table.name}: {note.detail}.")
    except TableInvalid as error:
        if table.is_named:
            raise
        layout.faults.append((table.name, error))
        items = iter(())
    if items is None:
        if table.is_named:
            raise TableInvalid(f"{table.name} is not a table or a known tool's export.")
        return iter(())
    layout.tables.add(table.name)
    return items


def check_lines(table: Table, max_items: int | None) -> None:
    """Raise TableInvalid if a table with a row on each line is too long to be read in minutes."""
    if max_items is None or suffix_of(table.name) not in CSV | JSON_LINES | TEXT:
        return
    if table.data.count(b"\n") > LINES_PER_ITEM * max_items:
        raise TableInvalid(f"The table has far more lines than {max_items:,} pictures.", hint="Split the table.")


def begun(items: Iterator[Item]) -> Iterator[Item]:
    """Take the first item: some parsers report errors of the whole only then."""
    return itertools.chain(list(itertools.islice(items, 1)), items)


def warn(layout: Layout, code: str, detail: str) -> None:
    layout.warnings.append({"code": code, "detail": detail})


def join(layout: Layout, lines: Sequence[Line], files: Files) -> dict[str, Line]:
    """Return the line of each file that has one; record errors of others, and pictures to fetch."""
    claims: dict[str, list[tuple[Line, bool]]] = defaultdict(list)
    left: list[Line] = []
    for line in lines:
        if line.item.error is not None:
            layout.faults.append((str(line), line.item.error))
        elif line.item.file and (name := files.find(line.item.file, line.table)):
            claims[name].append((line, True))
        else:
            left.append(line)
    for line, name in find_alike(layout, left, files, set(claims)):
        claims[name].append((line, False))
    takers = {name: give(layout, name, claimed) for name, claimed in claims.items()}
    return {name: taker for name, taker in takers.items() if taker is not None}


def find_alike(
    layout: Layout, lines: Sequence[Line], files: Files, taken: Collection[str]
) -> Iterator[tuple[Line, str]]:
    """Yield the file that each line may mean, and note differing names; the rest is to be fetched."""
    examples: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in lines:
        item = line.item
        name, difference = files.find_alike(item.file, line.table, taken) if item.file else (None, "")
        if item.file and name is None:
            again, differs = files.find_alike(item.file, line.table, ())
            name = None if differs else again  # another line has its exact path, and this one gets that error
        if name is not None:
            yield line, name
        elif item.url and item.url.lower().startswith(FETCHED):
            layout.remotes.append(Remote(item.url, settle(layout, line, "")))
        else:
            layout.faults.append((item.url or item.file or str(line), not_sent(line)))
        if difference:
            examples[line.table, difference].append(f"{item.file!r} is {name}")
    for (table, difference), found in examples.items():
        detail = f"{table}: {len(found):,} files were found by names that differ in {difference}, such as: {found[0]}."
        warn(layout, "names_differ", detail)


def not_sent(line: Line) -> FileNotSent:
    item = line.item
    hint = "Copy the bucket's files next to the table, and import both together." if item.url else None
    named = item.url or item.file
    return FileNotSent(f"{line}: {named!r} is not there.", hint=hint, line=item.line, table=line.table)


def give(layout: Layout, name: str, claimed: list[tuple[Line, bool]]) -> Line | None:
    """Return the line with a file's exact path, else the only one that may mean it; the others are errors.

    Identical lines count as one: Label Studio writes a line per annotator. If the sender named a table, others are
    ignored for the files it names.
    """
    if any(line.is_named for line, _ in claimed):
        claimed = [claim for claim in claimed if claim[0].is_named]
    whole = [line for line, is_whole in claimed if is_whole]
    first, *others = whole or [line for line, _ in claimed]
    taker = first if whole or not any(differs(first, other) for other in others) else None
    for line, _ in claimed:
        if line is not taker and (taker is None or differs(taker, line)):
            why = f"{len(claimed)} lines may refer to {name}; write paths from the top folder"
            if taker is not None:
                why = f"{name} was already named: {taker}"
            error = TableLineInvalid(f"Line {line.item.line}: {why}.", line=line.item.line, table=line.table)
            layout.faults.append((str(line), error))
    return taker


def differs(a: Line, b: Line) -> bool:
    """Return whether two lines for the same file disagree."""
    return replace(a.item, line=0, file="") != replace(b.item, line=0, file="")


def settle_all(layout: Layout, takers: Mapping[str, Line], pictures: Collection[str]) -> None:
    """Store what is known about each file that a table names, and whether folders give the labels of the others."""
    told = {name: line.item.labels for name, line in takers.items() if line.item.labels}
    use = use_of(told, [name for name in pictures if name not in takers], layout.kind, layout.folder_label)
    layout.has_labels = layout.has_labels and not use.folders
    if use.note:
        warn(layout, use.note.code, use.note.detail)
    for name, line in takers.items():
        layout.placed[name] = settle(layout, line, name)
    none = sum(line.item.is_none for line in takers.values())
    if none and layout.kind == "single_label":
        detail = (
            f"{none:,} pictures have none of the labels, according to a table. They are unlabelled here; a data set "
            f"of the "
        )
        warn(layout, "labels_none", detail + "kind multi_label can record that.")


def settle(layout: Layout, line: Line, name: str) -> Placement:
    """Return a picture's label, split and so on from its line, the options and the folders, in this order."""
    item, options = line.item, layout.options
    if item.split == "unassigned":
        split = options.split
    else:
        split = item.split or options.split or table_split(layout, line.table) or layout.folders.split(name)
    known = Placement(None, split, item.group or options.group, item.crop)
    folder = layout.folder_label(name) if item.labels is None else None
    if layout.kind == "multi_label":
        if item.labels or item.is_none:
            return with_labels(known, str(line), item.labels or ())
        return placed(known, name, options.label, folder)
    if item.labels is not None and len(item.labels) > 1:
        listed = ", ".join(item.labels)[:300]
        detail = f"{line}: {len(item.labels)} labels: {listed}."
        return Placement(error=LabelsSeveral(detail, line=item.line, table=line.table, labels=list(item.labels)[:50]))
    label = item.labels[0] if item.labels else None if item.is_none else options.label
    return with_label(known, str(line), label or (folder and from_path(folder)))


def table_split(layout: Layout, name: str) -> Split | None:
    """Return the split in a table's name (`train.csv`), or its folder's."""
    return stem_split(name) or layout.folders.split(name)


@lru_cache(maxsize=16)
def stem_split(name: str) -> Split | None:
    """Return the split in a table's own name; cached, because it is needed for each line."""
    return plain_split(PurePosixPath(name).stem)


def placed(known: Placement, name: str, label: str | None, folder: str | None) -> Placement:
    """Return what is known about a picture with the given label, or else the labels that its folder lists."""
    if label is not None:
        return with_labels(known, name, [label])
    try:
        listed = folder_labels(folder or "")
    except ValueError as error:
        return refused(name, error)
    if not listed and PLUS not in (folder or ""):
        return with_label(known, name, None)
    return with_labels(known, name, listed)


def with_label(known: Placement, where: str, label: str | None) -> Placement:
    return cleaned(known, where, partial(clean_word, label))


def with_labels(known: Placement, where: str, labels: Iterable[str]) -> Placement:
    return cleaned(known, where, partial(clean_labels, labels))


def cleaned(known: Placement, where: str, label: Callable[[], str | None]) -> Placement:
    """Return what is known about a picture with the label or set from `label`, or why it is refused."""
    try:
        return replace(known, label=label(), group=clean_word(known.group, "group"))
    except ValueError as error:
        return refused(where, error)


def refused(where: str, error: ValueError) -> Placement:
    return Placement(error=LabelRefused(f"{where[:300]}: {error}."))
