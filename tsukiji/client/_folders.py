"""Send a folder of class folders into a data set: only what the service lacks, never stopped by one bad file."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Final

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._exceptions import APIStatusError
from tsukiji.client._files import LocalFile, files_below, portions
from tsukiji.client._transport import Transport
from tsukiji.client._uploads import UPLOAD_SECONDS
from tsukiji.labels import label_and_split

Report = Callable[[int, int], None]
"""Called with the files settled so far and the files in all."""

Group = str | Callable[[str], str | None]
"""One for all files, or what gives it from a file's relative path; None is no group."""

THREADS: Final = 4
CHECKED_AT_ONCE: Final = 1000
IMAGE_BYTES: Final = 20 * 2**20
BLAME_A_FILE: Final = frozenset({413, 415, 422})


def upload_folder(
    transport: Transport, dataset_id: str, folder: Path, report: Report | None, group: Group | None = None
) -> types.UploadResult:
    """Upload every file below `folder`; the parent folder is the label, a top folder train, valid or test the split.

    Raises:
        NotADirectoryError: it is no folder.
        APIError: the service refused the data set or the key, or cannot be reached. What was sent stays; run again.
    """
    files = files_below(folder)
    verdicts: list[types.FileVerdict] = []

    def settle(settled: Iterable[types.FileVerdict]) -> None:
        verdicts.extend(settled)
        if report:
            report(len(verdicts), len(files))

    limit = transport.request("GET", path("limits")).json().get("image_bytes", IMAGE_BYTES)
    settle(_too_large(file, limit) for file in files if file.size > limit)
    with ThreadPoolExecutor(THREADS) as pool:
        hashes = dict(pool.map(_hash, (file for file in files if file.size <= limit)))
        settle(_unreadable(file) for file, sha256 in hashes.items() if sha256 is None)
        known = _known(transport, dataset_id, [sha256 for sha256 in hashes.values() if sha256])
        settle(_verdict(file, "duplicate") for file, sha256 in hashes.items() if sha256 in known)
        missing = [file for file, sha256 in hashes.items() if sha256 and sha256 not in known]
        for settled in pool.map(lambda portion: _send(transport, dataset_id, portion, group), _requests(missing)):
            settle(settled)
    return _result(verdicts)


def _hash(file: LocalFile) -> tuple[LocalFile, str | None]:
    try:
        return file, file.sha256()
    except OSError:
        return file, None


def _known(transport: Transport, dataset_id: str, hashes: list[str]) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(hashes), CHECKED_AT_ONCE):
        asked = {"sha256": hashes[start : start + CHECKED_AT_ONCE]}
        known.update(
            transport.request("POST", path("datasets", dataset_id, "images", "check"), json=asked).json()["known"]
        )
    return known


def _requests(files: list[LocalFile]) -> list[list[LocalFile]]:
    """Portions of one kind each: one split, and all with a label or all without."""

    def kind(file: LocalFile) -> tuple[str, bool]:
        label, split = label_and_split(file.name)
        return split or "", label is None

    return [portion for _, group in groupby(sorted(files, key=kind), kind) for portion in portions(group)]


def _send(
    transport: Transport, dataset_id: str, files: list[LocalFile], group: Group | None
) -> list[types.FileVerdict]:
    """Send one request; where the service blames it on a file, halve it until that file stands alone."""
    try:
        return _post(transport, dataset_id, files, group)
    except APIStatusError as error:
        if error.status_code not in BLAME_A_FILE:
            raise
        if len(files) == 1:
            return [_verdict(files[0], "rejected", error.problem)]
    middle = len(files) // 2
    halves = files[:middle], files[middle:]
    return [verdict for half in halves for verdict in _send(transport, dataset_id, half, group)]


def _post(
    transport: Transport, dataset_id: str, files: list[LocalFile], group: Group | None
) -> list[types.FileVerdict]:
    with ExitStack() as stack:
        try:
            parts = [("files", (file.name, stack.enter_context(file.path.open("rb")))) for file in files]
        except OSError:
            gone = [file for file in files if _hash(file)[1] is None]
            if not gone:
                raise
            rest = [file for file in files if file not in gone]
            return [_unreadable(file) for file in gone] + (_send(transport, dataset_id, rest, group) if rest else [])
        places = [label_and_split(file.name) for file in files]
        labels = [label for label, _ in places if label is not None]
        form = {"labels": labels, "split": places[0][1], **_grouped(files, group)}
        response = transport.request(
            "POST",
            path("datasets", dataset_id, "images"),
            files=parts,
            data={name: value for name, value in form.items() if value},
            timeout=UPLOAD_SECONDS,
        )
    return types.UploadResult.model_validate(response.json()).files


def _grouped(files: list[LocalFile], group: Group | None) -> dict[str, str | list[str]]:
    if group is None or isinstance(group, str):
        return {"group": group or ""}
    groups = [group(file.name) or "" for file in files]
    return {"groups": groups} if any(groups) else {}


def _verdict(file: LocalFile, verdict: str, error: types.Problem | None = None) -> types.FileVerdict:
    label, _ = label_and_split(file.name)
    return types.FileVerdict.model_validate({"name": file.name, "verdict": verdict, "label": label, "error": error})


def _too_large(file: LocalFile, limit: int) -> types.FileVerdict:
    problem = types.Problem(
        code="too_many_bytes",
        title="The file is too large",
        detail=f"{file.size:,} bytes; the service takes {limit:,}.",
        hint="Save it smaller.",
    )
    return _verdict(file, "rejected", problem)


def _unreadable(file: LocalFile) -> types.FileVerdict:
    return _verdict(file, "rejected", types.Problem(code="unreadable", title="The file cannot be read from this disk"))


def _result(verdicts: list[types.FileVerdict]) -> types.UploadResult:
    found = [verdict.verdict for verdict in verdicts]
    return types.UploadResult(
        accepted=found.count("accepted"),
        duplicates=found.count("duplicate"),
        rejected=found.count("rejected"),
        files=sorted(verdicts, key=lambda verdict: verdict.name),
    )
