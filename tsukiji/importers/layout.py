"""Which file each line of a table means, and what is then known of every file: by table, by wish, by folder."""

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from tsukiji.errors import FileNotSent, LabelRefused, LabelsSeveral, TableInvalid, TableLineInvalid, TsukijiError
from tsukiji.importers import formats
from tsukiji.importers.files import Files
from tsukiji.importers.folders import Folders
from tsukiji.importers.items import Item
from tsukiji.importers.split_words import plain_split
from tsukiji.labels import PLUS, clean_label, clean_word, folder_labels, join_labels
from tsukiji.types import ImportOptions, Kind, Split

FETCHED: Final = ("http://", "https://", "s3://", "file://")


@dataclass(frozen=True, slots=True)
class Placement:
    """What is known of a picture, or why it is not to be taken."""

    label: str | None = None
    """One label, or a set as `tsukiji.labels.join_labels` writes it."""
    split: Split | None = None
    group: str | None = None
    error: TsukijiError | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """A picture that has to be fetched."""

    url: str
    placement: Placement


@dataclass(frozen=True, slots=True)
class Table:
    """A file that may be a table; `is_named` if the sender said that it is one."""

    name: str
    data: bytes
    is_named: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and where it stands."""

    table: str
    item: Item

    def __str__(self) -> str:
        return f"{self.table}, line {self.item.line}"


@dataclass
class Layout:
    """What tables say of the files, and the sender's wishes for what they leave open."""

    options: ImportOptions
    kind: Kind = "single_label"
    """Of the data set that the pictures are for."""
    tables: set[str] = field(default_factory=set)
    """Names of the files that are tables, and not pictures."""
    placed: dict[str, Placement] = field(default_factory=dict)
    """By the names of the files that a table names."""
    remotes: list[Remote] = field(default_factory=list)
    faults: list[tuple[str, TsukijiError]] = field(default_factory=list)
    """What cannot be followed: a name to show, and the reason."""
    warnings: list[dict[str, Any]] = field(default_factory=list)
    has_labels: bool = False
    """Does a table speak of labels? Then folders do not."""
    folders: Folders = field(default_factory=lambda: Folders((), {}))

    def place(self, name: str) -> Placement:
        """Return what is known of a file."""
        if name in self.placed:
            return self.placed[name]
        label, split = self.folders.told(name)
        if self.has_labels:
            label = None
        split = self.options.split or split
        if self.kind == "single_label":
            return with_label(name, self.options.label or label, split, self.options.group)
        return placed(name, self.options.label, label, split, self.options.group)


def lay_out(
    names: Collection[str],
    tables: Sequence[Table],
    options: ImportOptions,
    max_items: int | None = None,
    kind: Kind = "single_label",
) -> Layout:
    """Return what tables say of files.

    Args:
        names: of all files, relative and with slashes.
        tables: those that may be tables, each read whole.
        options: the sender's wishes; under `folders` only tables that were named count.
        max_items: pictures that all tables together may name.
        kind: of the data set that they are for.

    Raises:
        TableInvalid: a table that was named is none, or there are too many pictures.
    """
    layout = Layout(options, kind)
    lines: list[Line] = []
    for table in tables:
        lines.extend(Line(table.name, item) for item in read(layout, table, names))
        if max_items is not None and len(lines) > max_items:
            raise TableInvalid(f"More than {max_items:,} pictures are named.", hint="Cut the table into several.")
    layout.has_labels = any(line.item.labels is not None for line in lines)
    have_labels = not layout.has_labels and options.label is None
    layout.folders = Folders(
        (name for name in names if name not in layout.tables), options.folders, have_labels=have_labels
    )
    layout.warnings.extend(layout.folders.warnings)
    if lines:
        join(layout, lines, Files(name for name in names if name not in layout.tables))
    return layout


def read(layout: Layout, table: Table, names: Collection[str]) -> Iterator[Item]:
    """Return the items of a table, and note that it is one; nothing where it is none."""
    if layout.options.format == "folders" and not table.is_named:
        return iter(())
    try:
        items = begun(formats.read(table.name, table.data, layout.options, names, layout.kind))
        if items is not None:
            note_ignored(layout, table)
    except TableInvalid as error:
        if table.is_named:
            raise
        layout.faults.append((table.name, error))
        items = iter(())
    if items is None:
        if table.is_named:
            raise TableInvalid(f"{table.name} is no table, and no export of a tool that is known.")
        return iter(())
    layout.tables.add(table.name)
    return items


def begun(items: Iterator[Item] | None) -> Iterator[Item] | None:
    """Take the first item: only then some say what is wrong with the whole."""
    return None if items is None else itertools.chain(list(itertools.islice(items, 1)), items)


def note_ignored(layout: Layout, table: Table) -> None:
    """Warn of columns that nothing is made of: one may be misspelt."""
    columns = formats.ignored_columns(table.name, table.data, layout.options, layout.kind)
    if columns:
        listed = ", ".join(map(repr, columns))[:500]
        detail = f"{table.name}, line 1: nothing is made of the columns {listed}."
        layout.warnings.append({"code": "columns_ignored", "detail": detail})


def join(layout: Layout, lines: Sequence[Line], files: Files) -> None:
    """Write down what each line says of its file or its address, or what is wrong with it."""
    claims: dict[str, list[tuple[Line, bool]]] = defaultdict(list)
    for line in lines:
        item = line.item
        name, is_whole = files.find(item.file, line.table) if item.file else (None, False)
        if item.error is not None:
            layout.faults.append((str(line), item.error))
        elif name is not None:
            claims[name].append((line, is_whole))
        elif item.url and item.url.lower().startswith(FETCHED):
            layout.remotes.append(Remote(item.url, settle(layout, line, "")))
        else:
            layout.faults.append((item.url or item.file or str(line), not_sent(line)))
    for name, claimed in claims.items():
        give(layout, name, claimed)


def not_sent(line: Line) -> FileNotSent:
    item = line.item
    hint = "Copy the files of the bucket to where the table is, and import both together." if item.url else None
    named = item.url or item.file
    return FileNotSent(f"{line}: {named!r} is not there.", hint=hint, line=item.line, table=line.table)


def give(layout: Layout, name: str, claimed: list[tuple[Line, bool]]) -> None:
    """Give a file to the line that names it whole, else to the only one that may mean it; the others are faults."""
    whole = [line for line, is_whole in claimed if is_whole]
    taker = whole[0] if whole else claimed[0][0] if len(claimed) == 1 else None
    if taker is not None:
        layout.placed[name] = settle(layout, taker, name)
        why = f"{name} was named before: {taker}"
    else:
        why = f"{len(claimed)} lines may mean {name}; write paths from the top"
    for line, _ in claimed:
        if line is not taker:
            error = TableLineInvalid(f"Line {line.item.line}: {why}.", line=line.item.line, table=line.table)
            layout.faults.append((str(line), error))


def settle(layout: Layout, line: Line, name: str) -> Placement:
    """Return what a line, the wishes and the folders say of a picture, in this order."""
    item, options = line.item, layout.options
    split = item.split or options.split or table_split(layout, line.table) or layout.folders.split(name)
    group = item.group or options.group
    if layout.kind == "multi_label":
        if item.labels or item.is_none:
            return with_labels(str(line), item.labels or (), split, group)
        return placed(name, options.label, layout.folders.label(name) if item.labels is None else None, split, group)
    if item.labels is not None and len(item.labels) > 1:
        listed = ", ".join(item.labels)[:300]
        detail = f"{line}: {len(item.labels)} labels: {listed}."
        return Placement(error=LabelsSeveral(detail, line=item.line, table=line.table, labels=list(item.labels)[:50]))
    label = item.labels[0] if item.labels else options.label
    if item.labels is None and label is None:
        label = layout.folders.label(name)
    return with_label(str(line), label, split, group)


def table_split(layout: Layout, name: str) -> Split | None:
    """Return the split that a table is named like (`train.csv`), or its folder."""
    return plain_split(PurePosixPath(name).stem) or layout.folders.split(name)


def placed(name: str, label: str | None, folder: str | None, split: Split | None, group: str | None) -> Placement:
    """Return what is known of a picture that has the wished label, else those that its folder lists."""
    if label is not None:
        return with_labels(name, [label], split, group)
    try:
        listed = folder_labels(folder or "")
    except ValueError as error:
        return refused(name, error)
    if not listed and PLUS not in (folder or ""):
        return with_label(name, None, split, group)
    return with_labels(name, listed, split, group)


def with_label(where: str, label: str | None, split: Split | None, group: str | None) -> Placement:
    try:
        return Placement(clean_word(label), split, clean_word(group, "group"))
    except ValueError as error:
        return refused(where, error)


def with_labels(where: str, labels: Iterable[str], split: Split | None, group: str | None) -> Placement:
    try:
        return Placement(join_labels(map(clean_label, labels)), split, clean_word(group, "group"))
    except ValueError as error:
        return refused(where, error)


def refused(where: str, error: ValueError) -> Placement:
    return Placement(error=LabelRefused(f"{where[:300]}: {error}."))
