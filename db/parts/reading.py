"""Reading the results of a batch from its parts as `db.predictions.results` reads rows: the same pages, in order.

Chunks without a part are read from their item lists: their items are waiting, or all have the chunk's error. A part is
searched by the few columns that filters look at; whole rows are read only of those found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.items import Item
from db.jobs.batches import blank_prediction
from db.models import Chunk, Job
from db.paging import Window
from db.parts import item_lists, tables
from db.parts.files import PartStore, text_box
from db.parts.tables import Flags
from db.predictions.decisions import Rule
from db.predictions.results import Group, ResultRow, Wanted, key_of
from tsukiji.labels import split_labels
from tsukiji.types import Box

CHUNKS: Final = 50
"""Rows of chunks to read at once."""
Places = npt.NDArray[np.int64]


class Found(NamedTuple):
    """An item with its result, and where its picture is; without `image` in the list of its chunk."""

    row: ResultRow
    crop: Box | None
    image: str | None
    chunk: Chunk


@dataclass(frozen=True)
class PartReader:
    """Reads the results of one batch."""

    session: Session
    files: PartStore
    job: Job

    def page(self, window: Window, wanted: Wanted) -> tuple[list[ResultRow], str | None]:
        """Return one page, and the cursor of the next.

        Raises:
            Invalid: the cursor is malformed.
        """
        rows = self._in_order(window, wanted) if wanted.order == "seq" else self._by_score(window, wanted)
        more = len(rows) > window.limit
        rows = rows[: window.limit]
        return rows, window.cursor_after(key_of(rows[-1], wanted)) if more else None

    def groups(self, rule: Rule) -> list[Group]:
        """Count the classified images by label and outcome: for the batch's own rule from the rows of its chunks."""
        rule.check_stored()
        counts: dict[tuple[str, str | None], int] = {}
        for chunk in self.chunks():
            if chunk.part is None:
                continue
            found = chunk.part["groups"] if rule == Rule.of(self.job) else self._counted(chunk, rule)
            for name, reason, images in found:
                counts[name, reason] = counts.get((name, reason), 0) + images
        return [Group(name, reason, images) for (name, reason), images in counts.items()]

    def find(self, seqs: Sequence[int], custom_ids: Sequence[str] = ()) -> Iterator[Found]:
        """Yield the items with these numbers or names."""
        for chunk in self.chunks() if custom_ids else self._chunks_at(seqs):
            wanted = np.isin(np.arange(chunk.first_seq, chunk.last_seq + 1), seqs)
            if custom_ids:
                names = self.table(chunk, ["custom_id"])["custom_id"]
                wanted |= pc.is_in(names, pa.array(custom_ids, pa.string())).to_numpy()
            for row in self._take(chunk, np.flatnonzero(wanted)):
                yield Found(tables.result_row(row), text_box(row["crop"]), row["image"], chunk)

    # --- pages -------------------------------------------------------------------------------------------------------

    def _in_order(self, window: Window, wanted: Wanted) -> list[ResultRow]:
        last = window.after(int)
        rows: list[ResultRow] = []
        for chunk in self.chunks(-1 if last is None else last):
            rows += self._rows(chunk, wanted, last, window.limit + 1 - len(rows))
            if len(rows) > window.limit:
                break
        return rows

    def _rows(self, chunk: Chunk, wanted: Wanted, last: int | None, limit: int) -> list[ResultRow]:
        """Return the first matching rows of a chunk."""
        if not is_reached(chunk):
            if wanted.conditions() or wanted.status == "reached":
                return []
            waiting = (listed.item for listed in item_lists.items_of(self.files.blobs, chunk))
            return [
                tables.unreached_row(item)
                for item in waiting
                if (last is None or item.seq > last) and shows(wanted.true_label, item)
            ][:limit]
        if wanted.status == "unreached":
            return []
        keys = self.table(chunk, tables.KEYS)
        fits = mask(keys, wanted)
        if last is not None:
            fits &= keys["seq"].to_numpy() > last
        return [tables.result_row(row) for row in self._take(chunk, np.flatnonzero(fits)[:limit])]

    def _by_score(self, window: Window, wanted: Wanted) -> list[ResultRow]:
        """Return the first rows by score: of each chunk the best keys, of all the best rows."""
        last = window.after(float, int)
        sign = -1 if wanted.order == "-score" else 1
        best = np.empty((0, 2))
        if wanted.status == "unreached":
            return []
        for chunk in self.chunks():
            if chunk.part is None:
                continue
            table = self.table(chunk, tables.KEYS)
            keys = np.stack([tables.numbers(table, "score"), tables.numbers(table, "seq")], axis=1)[mask(table, wanted)]
            best = np.concatenate([best, sign * keys])
            if last is not None:
                best = best[after(best, sign * last[0], sign * last[1])]
            best = best[np.lexsort((best[:, 1], best[:, 0]))][: window.limit + 1]
        seqs = [int(sign * seq) for seq in best[:, 1]]
        rows = {found.row.seq: found.row for found in self.find(seqs)}
        return [rows[seq] for seq in seqs]

    # --- chunks ------------------------------------------------------------------------------------------------------

    def chunks(self, last: int = -1) -> Iterator[Chunk]:
        """Yield the chunks with items after this one, in their order."""
        query = select(Chunk).where(Chunk.job_id == self.job.id).order_by(Chunk.first_seq).limit(CHUNKS)
        while page := list(self.session.scalars(query.where(Chunk.last_seq > last))):
            yield from page
            last = page[-1].last_seq

    def _chunks_at(self, seqs: Sequence[int]) -> Iterator[Chunk]:
        """Yield the chunks that have these items."""
        last = -1
        for seq in sorted(seqs):
            if seq > last and (chunk := next(self.chunks(seq - 1), None)) is not None and chunk.first_seq <= seq:
                yield chunk
                last = chunk.last_seq

    def _counted(self, chunk: Chunk, rule: Rule) -> list[tuple[str, str | None, int]]:
        groups, _ = tables.counted(self.table(chunk, tables.KEYS), rule)
        return groups

    def table(self, chunk: Chunk, columns: list[str]) -> pa.Table:
        """Return columns of a chunk's results."""
        if chunk.part is None:
            return without_part(self.files, self.job, chunk).select(columns)
        with self.files.opened(chunk) as file:
            return file.read(columns)

    def _take(self, chunk: Chunk, places: Places) -> list[dict[str, Any]]:
        """Return whole rows, by their places in the chunk in ascending order."""
        if not len(places):
            return []
        if chunk.part is None:
            rows: list[dict[str, Any]] = without_part(self.files, self.job, chunk).take(places).to_pylist()
            return rows
        found: list[dict[str, Any]] = []
        with self.files.opened(chunk) as file:
            for number, mine in groupby(places.tolist(), lambda place: place // tables.GROUP_ROWS):
                first = number * tables.GROUP_ROWS
                found += file.read_row_group(number).take([place - first for place in mine]).to_pylist()
        return found


def without_part(files: PartStore, job: Job, chunk: Chunk) -> pa.Table:
    """Return the rows of a chunk that has no part: each with the chunk's error, if there is one."""
    listed = list(item_lists.items_of(files.blobs, chunk))
    rows = [blank_prediction(each.item.seq) | {"error": chunk.error} for each in listed]
    return tables.table_of([each.item for each in listed], [each.image for each in listed], rows, Rule.of(job))


def is_reached(chunk: Chunk) -> bool:
    """Return whether there are results, or an error in the place of all."""
    return chunk.part is not None or chunk.error is not None


def shows(label: str | None, item: Item) -> bool:
    return label is None or (item.true_label is not None and label in split_labels(item.true_label))


def after(keys: npt.NDArray[np.float64], score: float, seq: float) -> Flags:
    """Return which keys (score, seq) come after this one."""
    later: Flags = (keys[:, 0] > score) | ((keys[:, 0] == score) & (keys[:, 1] > seq))
    return later


def mask(table: pa.Table, wanted: Wanted) -> Flags:
    """Return which rows match, as `Wanted.conditions` do in SQL."""
    score = tables.numbers(table, "score")
    classified = ~np.isnan(score)
    fits = np.ones(len(table), np.bool_)
    if wanted.label is not None:
        fits &= equal(table["label"], wanted.label)
    if wanted.decision is not None and wanted.several:
        fits &= np.array([wanted.decision in (labels or []) for labels in table["labels"].to_pylist()], np.bool_)
    elif wanted.decision is not None:
        fits &= equal(table["label"], wanted.decision)
    if wanted.min_score is not None:
        fits &= score >= wanted.min_score
    if wanted.max_score is not None:
        fits &= score <= wanted.max_score
    if wanted.status == "succeeded" or wanted.order != "seq":
        fits &= classified
    if wanted.status == "errored" or wanted.error is not None:
        fits &= ~classified
    if wanted.error is not None:
        fits &= equal(table["error"], wanted.error)
    if wanted.true_label is not None:
        fits &= tables.has_true_label(table, wanted.true_label)
    return fits & decided(table, wanted, classified)


def decided(table: pa.Table, wanted: Wanted, classified: Flags) -> Flags | bool:
    """Return which rows have a decision as wanted; True: any."""
    if wanted.rule is None or (wanted.decision is None and wanted.abstained is None and wanted.abstain_reason is None):
        return True
    wanted.rule.check_stored()
    reasons = tables.refusals(table, wanted.rule)
    refused = np.array([reason is not None for reason in reasons], np.bool_)
    fits = classified.copy()
    if wanted.decision is not None or wanted.abstained is False:
        fits &= ~refused
    if wanted.abstained:
        fits &= refused
    if wanted.abstain_reason is not None:
        fits &= np.array([reason == wanted.abstain_reason for reason in reasons], np.bool_)
    return fits


def equal(column: pa.ChunkedArray, value: str) -> Flags:
    found: Flags = pc.equal(column, value).fill_null(False).to_numpy()
    return found
