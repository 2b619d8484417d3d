"""Uploads a folder of pictures into a data set: only what is missing; a bad file does not stop the others."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from tsukiji import types
from tsukiji.client._async._runtime import each, in_thread, lock
from tsukiji.client._async._transport import Transport
from tsukiji.client._async._uploads import UPLOAD_SECONDS
from tsukiji.client._base import path
from tsukiji.client._exceptions import APIStatusError
from tsukiji.client._files import LocalFile, files_below, portions
from tsukiji.errors import TableInvalid, TsukijiError, UrlNotAllowed
from tsukiji.ingest.importers import Layout, Placement, Table, lay_out, may_be_table
from tsukiji.ingest.skipped import SkippedFiles
from tsukiji.labels import is_set, join_labels, label_members, split_labels, under_two_labels

Report = Callable[[int, int], None]
"""Called with the number of finished files and of all."""

Group = str | Callable[[str], str | None]
"""One for all files, or a function of the relative path; None: no group."""

Place = Callable[[str], Placement]
"""Returns what is known about a file, by its relative path."""

THREADS: Final = 4
CHECKED_AT_ONCE: Final = 1000
IMAGE_BYTES: Final = 20 * 2**20
TABLE_BYTES: Final = 64 * 2**20
BLAME_A_FILE: Final = frozenset({413, 415, 422})


async def upload_folder(
    transport: Transport,
    dataset_id: str,
    folder: Path,
    report: Report | None,
    group: Group | None = None,
    table: Path | None = None,
    options: types.ImportOptions | None = None,
    kind: types.Kind = "single_label",
) -> types.UploadResult:
    """Upload every file below `folder`, labelled by a table or another tool's export, else by its parent folder.

    Raises:
        NotADirectoryError: it is not a folder.
        ValueError: `table` is invalid, or there are no files in the folder.
        APIError: the service refused the request or is unreachable. Uploaded files are kept; run again.
    """
    passed = SkippedFiles()
    found = await in_thread(files_below, folder, passed)
    if not found:
        raise ValueError(f"there are no files in {folder}. {passed}".rstrip(". "))
    layout = await in_thread(_lay_out, folder, found, table, options or types.ImportOptions(), kind)
    place = _placing(layout, group)
    files = [file for file in found if file.name not in layout.tables]
    verdicts: list[types.FileVerdict] = []
    total = len(files) + len(layout.faults) + len(layout.remotes)

    hashes: dict[LocalFile, str | None] = {}
    settling = lock()

    def settle(settled: Iterable[types.FileVerdict]) -> None:
        with settling:
            verdicts.extend(settled)
            if report:
                report(len(verdicts), total)

    async def read(file: LocalFile) -> None:
        hashes[file] = await in_thread(_hash, file)

    async def transfer(portion: list[LocalFile]) -> None:
        settle(await _send(transport, dataset_id, portion, place))

    settle(_unsendable(layout))
    settle(_refused(file.name, error) for file in files if (error := place(file.name).error))
    files = [file for file in files if place(file.name).error is None]
    limits = await transport.json("GET", path("limits"))
    limit = limits.get("image_bytes", IMAGE_BYTES)
    settle(_too_large(file, limit) for file in files if file.size > limit)
    small = [file for file in files if file.size <= limit]
    await each(read, small, THREADS)
    hashes = {file: hashes[file] for file in small}
    settle(_unreadable(file) for file, sha256 in hashes.items() if sha256 is None)
    known = await _known(transport, dataset_id, [sha256 for sha256 in hashes.values() if sha256])
    kept = {file for file, sha256 in hashes.items() if sha256 in known and not _adds(place(file.name), known[sha256])}
    if kind == "multi_label":
        place = _united(hashes, place)
    settle(_verdict(file, "duplicate", place) for file in hashes if file in kept)
    firsts = {sha256: file for file, sha256 in reversed(hashes.items()) if sha256}
    missing = [file for file, sha256 in hashes.items() if sha256 and file not in kept]
    # Copies are sent after the first, so that it is not left to chance which becomes the image.
    for round_ in (True, False):
        requests = _requests([file for file in missing if (firsts[hashes[file] or ""] is file) is round_], place)
        await each(transfer, requests, THREADS)
    result = _result(verdicts, [*layout.warnings, *passed.warnings()])
    if kind == "single_label":
        result.warnings += _torn(hashes, firsts, place)
    return result


async def holds_some_of(transport: Transport, dataset_id: str, folder: Path) -> bool:
    """Return whether the data set has any file of the folder, by content; asks for a portion at a time."""
    files = await in_thread(files_below, folder)
    for start in range(0, len(files), CHECKED_AT_ONCE):
        hashes = [sha256 for file in files[start : start + CHECKED_AT_ONCE] if (sha256 := await in_thread(_hash, file))]
        if hashes and await _known(transport, dataset_id, hashes):
            return True
    return False


def _lay_out(
    folder: Path, files: Sequence[LocalFile], table: Path | None, options: types.ImportOptions, kind: types.Kind
) -> Layout:
    names, tables = [file.name for file in files], _tables(files, table, options)
    try:
        return lay_out(names, tables, options, kind=kind, container=folder.resolve().name)
    except TableInvalid as error:
        raise ValueError(f"{error.detail} {error.hint}") from error


def _tables(files: Sequence[LocalFile], named: Path | None, options: types.ImportOptions) -> list[Table]:
    """Read possible tables among the files, and the given one, wherever it is."""
    tables, room = [], TABLE_BYTES
    for file in files:
        is_named = named is not None and file.path.name == named.name and file.path.samefile(named)
        if is_named or (options.format != "folders" and may_be_table(file.name) and file.size <= room):
            with suppress(OSError):  # its own verdict will say so
                tables.append(Table(file.name, file.path.read_bytes(), is_named))
                room -= file.size
    if named is not None and not any(table.is_named for table in tables):
        tables.append(Table(named.name, named.read_bytes(), is_named=True))
    return tables


def _placing(layout: Layout, group: Group | None) -> Place:
    def place(name: str) -> Placement:
        found = layout.place(name)
        own = group(name) if callable(group) else group
        return replace(found, group=own or found.group)

    return place


def _adds(found: Placement, labels: list[str] | None) -> bool:
    """Return whether a known picture adds labels to its image; a single label is never changed."""
    if found.label is None:
        return False
    return labels is None or (is_set(found.label) and not set(split_labels(found.label)) <= set(labels))


def _united(hashes: Mapping[LocalFile, str | None], place: Place) -> Place:
    """Return a function that gives copies of one picture, such as in several labels' folders, the labels of all."""
    sets: dict[str, set[str]] = {}
    for file, sha256 in hashes.items():
        if sha256 and (text := place(file.name).label) is not None:
            sets.setdefault(sha256, set()).update(split_labels(text))
    united = {file.name: sets[sha256] for file, sha256 in hashes.items() if sha256 in sets}

    def placed(name: str) -> Placement:
        found = place(name)
        with suppress(ValueError):  # too long together: each is sent with its own, and the service reports it
            return replace(found, label=join_labels(united[name])) if name in united else found
        return found

    return placed


def _torn(
    hashes: Mapping[LocalFile, str | None], firsts: Mapping[str, LocalFile], place: Place
) -> list[dict[str, Any]]:
    """Return the warning about pictures in the folders of two labels."""
    pairs: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {}
    for file, sha256 in hashes.items():
        first = firsts.get(sha256 or "")
        if first is None or sha256 is None:
            continue
        one, other = place(first.name).label, place(file.name).label
        if one is not None and other is not None and one != other:
            pairs.setdefault(sha256, ((first.name, one), (file.name, other)))
    return [under_two_labels(len(pairs), *next(iter(pairs.values())))] if pairs else []


def _unsendable(layout: Layout) -> Iterable[types.FileVerdict]:
    """Yield the verdicts on lines of tables that have no file."""
    for name, error in layout.faults:
        yield _refused(name, error)
    for remote in layout.remotes:
        hint = "Import the table by itself, so that the service fetches the pictures."
        yield _refused(remote.url, UrlNotAllowed("Addresses are not fetched when a folder is sent.", hint=hint))


def _hash(file: LocalFile) -> str | None:
    """Return a file's sha256; None if it cannot be read."""
    try:
        return file.sha256()
    except OSError:
        return None


async def _known(transport: Transport, dataset_id: str, hashes: list[str]) -> dict[str, list[str] | None]:
    """Return the pictures of the data set, by sha256, with their labels; None for unlabelled ones."""
    known: dict[str, list[str] | None] = {}
    for start in range(0, len(hashes), CHECKED_AT_ONCE):
        asked = {"sha256": hashes[start : start + CHECKED_AT_ONCE]}
        answer = await transport.json("POST", path("datasets", dataset_id, "images", "check"), json=asked)
        labels = answer.get("labels") or {}
        known.update((sha256, labels.get(sha256, [])) for sha256 in answer["known"])
    return known


def _requests(files: list[LocalFile], place: Place) -> list[list[LocalFile]]:
    """Split into requests of one kind: one split, and all with a label or all without."""

    def kind(file: LocalFile) -> tuple[str, bool]:
        found = place(file.name)
        return found.split or "", found.label is None

    return [portion for _, group in groupby(sorted(files, key=kind), kind) for portion in portions(group)]


async def _send(transport: Transport, dataset_id: str, files: list[LocalFile], place: Place) -> list[types.FileVerdict]:
    """Send one request; if the service rejects it because of some file, halve it until that file is alone."""
    try:
        return await _post(transport, dataset_id, files, place)
    except APIStatusError as error:
        if error.status_code not in BLAME_A_FILE:
            raise
        if len(files) == 1:
            return [_verdict(files[0], "rejected", place, error.problem)]
    middle = len(files) // 2
    halves = files[:middle], files[middle:]
    return [verdict for half in halves for verdict in await _send(transport, dataset_id, half, place)]


async def _post(transport: Transport, dataset_id: str, files: list[LocalFile], place: Place) -> list[types.FileVerdict]:
    with ExitStack() as stack:
        try:
            parts = [("files", (file.name, stack.enter_context(file.path.open("rb")))) for file in files]
        except OSError:
            gone = [file for file in files if _hash(file) is None]
            if not gone:
                raise
            rest = [file for file in files if file not in gone]
            return [_unreadable(file) for file in gone] + (
                await _send(transport, dataset_id, rest, place) if rest else []
            )
        places = [place(file.name) for file in files]
        labels = [_spelt(found.label) for found in places if found.label is not None]
        crops = [json.dumps(found.crop) if found.crop else "" for found in places]
        form = {
            "labels": labels,
            "split": places[0].split,
            "crops": crops if any(crops) else None,
            **_grouped([found.group or "" for found in places]),
        }
        result = await transport.fetch(
            types.UploadResult,
            "POST",
            path("datasets", dataset_id, "images"),
            files=parts,
            data={name: value for name, value in form.items() if value},
            timeout=UPLOAD_SECONDS,
        )
    return result.files


def _spelt(text: str) -> str:
    """Return a label as a form field, or a set of them as JSON."""
    return json.dumps(split_labels(text), ensure_ascii=False) if is_set(text) else text


def _grouped(groups: list[str]) -> dict[str, str | list[str]]:
    if len(set(groups)) == 1:
        return {"group": groups[0]}
    return {"groups": groups}


def _verdict(file: LocalFile, verdict: str, place: Place, error: types.Problem | None = None) -> types.FileVerdict:
    known = {"name": file.name, "verdict": verdict, "error": error, **label_members(place(file.name).label)}
    return types.FileVerdict.model_validate(known)


def _refused(name: str, error: TsukijiError) -> types.FileVerdict:
    return types.FileVerdict(name=name, verdict="rejected", error=types.Problem.model_validate(error.to_dict()))


def _too_large(file: LocalFile, limit: int) -> types.FileVerdict:
    problem = types.Problem(
        code="too_many_bytes",
        title="The file is too large",
        detail=f"{file.size:,} bytes; the limit of the service is {limit:,}.",
        hint="Reduce its size.",
    )
    return types.FileVerdict(name=file.name, verdict="rejected", error=problem)


def _unreadable(file: LocalFile) -> types.FileVerdict:
    problem = types.Problem(code="unreadable", title="The file cannot be read from disk")
    return types.FileVerdict(name=file.name, verdict="rejected", error=problem)


def _result(verdicts: list[types.FileVerdict], warnings: list[dict[str, Any]]) -> types.UploadResult:
    found = [verdict.verdict for verdict in verdicts]
    return types.UploadResult(
        accepted=found.count("accepted"),
        duplicates=found.count("duplicate"),
        rejected=found.count("rejected"),
        files=sorted(verdicts, key=lambda verdict: verdict.name),
        warnings=warnings,
    )
