"""An import: pictures of an archive, a folder, a prefix or the web become images of a data set.

Every file gets a verdict; none stops the others.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from db import datasets, imports, jobs
from db.datasets import NewImage
from db.models import Job
from tsukiji.errors import Invalid, LabelRefused, TsukijiError
from tsukiji.importers import Placement
from tsukiji.vision.decode import probe
from worker.archives import discard
from worker.arrivals import Arrival, arrivals
from worker.claimed import Stale
from worker.lease import Lease
from worker.services import Services

COMMIT_FILES = 100
LABEL_CHARACTERS = 200
UNKEPT = re.compile("[\0\ud800-\udfff]")
"""What a database cannot keep as text."""


def run(services: Services, job: Job, lease: Lease) -> None:
    """Read the archive from where an earlier attempt stopped, and commit verdicts as they come."""
    dataset_id = dataset_of(job)
    with services.database.reading() as session:
        start = imports.next_seq(session, job.id)
        labels = {label for label, _ in datasets.count_labels(session, [dataset_id])[dataset_id] if label}
    with arrivals(services, job) as found, closing(found.after(start)) as rest:
        verdicts = (intake(services, seq, arrival, labels, lease) for seq, arrival in rest)
        while part := list(itertools.islice(verdicts, COMMIT_FILES)):
            commit(services, job, part, found.total)
        warnings = found.warnings
    end(services, job, warnings)


def dataset_of(job: Job) -> str:
    """Return the id of the data set; a job whose data set was deleted cannot go on."""
    if job.dataset_id is None:
        raise Invalid("The data set was deleted.", hint="Make it again, and send the archive again.")
    return job.dataset_id


def intake(services: Services, seq: int, arrival: Arrival, labels: set[str], lease: Lease) -> dict[str, Any]:
    """Decode one picture once, keep its bytes, and return its verdict; `image` is what is to be inserted."""
    lease.check()
    name, place = kept(arrival.name), arrival.placement
    label = kept(place.label)[:LABEL_CHARACTERS] if place.label else None
    verdict = {"seq": seq, "name": name, "label": label, "error": None, "image": None}
    try:
        check_placement(services, place, labels)
        data = arrival.read()
        facts = probe(data, services.decode_limits)
        blob = services.store.put(data)
    except TsukijiError as error:
        if error.retriable:  # the store is full or away: that is not the picture's fault
            raise
        return verdict | {"error": kept(error.to_dict())}
    image = NewImage(
        name=name,
        label=label,
        split=place.split,
        group=place.group,
        sha256=blob.sha256,
        width=facts.width,
        height=facts.height,
        bytes=blob.size,
        format=facts.format,
        phash=facts.phash,
    )
    return verdict | {"image": image}


def check_placement(services: Services, place: Placement, labels: set[str]) -> None:
    """Raise what is wrong with a picture's label or group; else count the label among the data set's."""
    if place.error is not None:
        raise place.error
    check_word(place.group, "group")
    check_word(place.label, "label")
    label = place.label
    if label is None:
        return
    if label not in labels and len(labels) >= services.settings.limits.dataset_classes:
        raise LabelRefused(f"The data set has {len(labels)} labels; no more are allowed.")
    labels.add(label)


def check_word(word: str | None, name: str) -> None:
    """Raise LabelRefused for a label or group that is too long, or that no person could read."""
    if word is None:
        return
    if len(word) > LABEL_CHARACTERS:
        raise LabelRefused(f"The {name} has {len(word):,} characters; {LABEL_CHARACTERS} are allowed.")
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in word):
        raise LabelRefused(f"The {name} {word!r} has control characters.")


def kept(value: Any) -> Any:
    """Return what a database can keep of a name, or of all texts in an error."""
    match value:
        case str():
            return UNKEPT.sub("\ufffd", value)
        case dict():
            return {name: kept(one) for name, one in value.items()}
        case list():
            return [kept(one) for one in value]
    return value


def commit(services: Services, job: Job, verdicts: list[dict[str, Any]], total: int) -> None:
    """Write images, verdicts and progress, all or nothing, while the attempt is ours."""
    with services.database.transaction() as session:
        progress = {"completed": verdicts[-1]["seq"] + 1, "total": total, "phase": "reading"}
        if jobs.beat(session, job.id, job.attempt, services.settings.jobs.lease_seconds, **progress).lost:
            raise Stale
        added = iter(datasets.add_images(session, dataset_of(job), [row["image"] for row in verdicts if row["image"]]))
        imports.add_verdicts(session, job.id, [settle(row, added) for row in verdicts])


def settle(row: dict[str, Any], added: Iterator[tuple[str, bool]]) -> dict[str, Any]:
    """Return a verdict as its row, now that it is known which pictures were new."""
    image = row.pop("image")
    if image is None:
        return row | {"verdict": "rejected", "image_id": None}
    image_id, new = next(added)
    return row | {"verdict": "accepted" if new else "duplicate", "image_id": image_id}


def end(services: Services, job: Job, warnings: list[dict[str, Any]]) -> None:
    """End the job with its counts; what was sent for it is not needed any more."""
    with services.database.transaction() as session:
        counts = imports.count_verdicts(session, job.id)
        result = {
            "dataset_id": job.dataset_id,
            "accepted": counts.get("accepted", 0),
            "duplicates": counts.get("duplicate", 0),
            "rejected": counts.get("rejected", 0),
            **({"warnings": kept(warnings)} if warnings else {}),
        }
        if not jobs.finish(session, job.id, job.attempt, result, upload_sha256=None):
            raise Stale
    for sha256 in (job.upload_sha256, job.table_sha256):
        discard(services, sha256)
