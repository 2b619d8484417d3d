"""The Curate screens: queues of pictures to check one by one, with the edits for each."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form
from pydantic import BaseModel
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import needs
from api.http.acts import ACT_OF, Named
from api.http.errors import validated
from api.http.idempotency import Once
from api.page import counts, curate_acts
from api.page.curate_queues import LISTED, QUALITY, QUEUES, Entry, Queue, count_all, find_place, findings_of, read
from api.page.screen import ScreenDep
from api.page.train import at_once
from api.serialize import job_records, records
from api.submit.features import start_analysis
from db.curation import analyses, datasets, image_edits, revisions
from db.jobs import jobs
from db.models import Dataset
from db.models import Image as ImageRow
from db.paging import Window
from db.predictions import results
from db.session import Session
from tsukiji.errors import NotFound
from tsukiji.jobs import JobKind
from tsukiji.json_input import read_json
from tsukiji.labels import count_labels, split_labels
from tsukiji.types import AnalysisCreate, Image, Job

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

SHOWN: Final = 4
"""Pictures of each queue on the first screen."""
GRID: Final = 60
SUSPECTS: Final = 48
"""Suspected labels that are decided at once: no more than one looks at."""
NEIGHBOURS: Final = 6
MOST_GROUPS: Final = 10_000


class ActForm(BaseModel):
    """An edit as a form sends it: JSON, and further fields of the form."""

    act: str = "{}"
    undo: str | None = None
    next: str | None = None
    keep: list[str] = []
    label: str | None = None
    images: list[str] = []
    left: int | None = None
    upper: int | None = None
    right: int | None = None
    lower: int | None = None

    def body(self) -> dict[str, Any]:
        try:
            given = read_json(self.act)
        except ValueError:
            given = None
        body: dict[str, Any] = dict(given) if isinstance(given, dict) else {}
        if self.label:
            body["label"] = self.label
        if self.images:
            body["images"] = self.images
        box = [self.left, self.upper, self.right, self.lower]
        if body.get("act") == "crop" and None not in box:
            body["crop"] = box
        if self.keep and isinstance(body.get("labels"), list):
            body["labels"] = [
                each for each in body["labels"] if not (isinstance(each, dict) and each.get("image") in self.keep)
            ]
        return body

    def bodies(self) -> list[dict[str, Any]]:
        """Return the edits: first what is kept as it is, then the act, unless nothing is left of it."""
        body = self.body()
        kept = [{"act": "dismiss", "images": self.keep, "findings": ["suspected_label"]}] if self.keep else []
        return kept if kept and not body.get("labels") else [*kept, body]


@router.get("/datasets/{dataset}/curate")
@needs("read")
def show_queues(screen: ScreenDep, dataset: str, begin: bool = False) -> Response:
    """Show the queues with their counts; with `begin`, go to the first once the analysis has ended."""
    with screen.services.database.reading() as session:
        row = datasets.find(session, dataset)
        waits = count_all(session, row.id)
        job = find_job(session, row.id)
        waiting = [queue for queue in LISTED if waits[queue.name]]
        if begin and waiting and (job is None or job.done):
            return RedirectResponse(f"/datasets/{row.id}/curate/{waiting[0].name}", 303)
        samples = {queue.name: sample(session, row, queue) for queue in waiting}
        analysed = find_analysis(session, row)
        return screen.show(
            session,
            "curate.html",
            current="curate",
            dataset=row,
            queues=LISTED,
            counts=waits,
            waiting=waiting,
            preset=at_once(screen, session, row),
            samples=samples,
            analysis=analysed,
            job=job,
            images=sum(count for _, count in counts.of_images(session, row.id).labels),
        )


@router.post("/datasets/{dataset}/curate/analyses")
@needs("label", act="create_analysis")
def check_pictures(screen: ScreenDep, dataset: str) -> Response:
    start_analysis(screen.services, screen.visitor, Once(None), dataset, AnalysisCreate())
    return RedirectResponse(f"/datasets/{dataset}/curate?begin=true", 303)


@router.get("/datasets/{dataset}/curate/{queue}")
@needs("read")
def show_queue(
    screen: ScreenDep,
    dataset: str,
    queue: str,
    at: str | None = None,
    kind: str | None = None,
    cursor: str | None = None,
    done: str | None = None,
) -> HTMLResponse:
    wanted = find_queue(queue)
    with screen.services.database.reading() as session:
        row = datasets.find(session, dataset)
        waits = count_all(session, row.id)
        context = {"queues": LISTED, "counts": waits, "queue": wanted, "done": find_done(session, row.id, done)}
        context["waiting"] = [each for each in LISTED if waits[each.name] and each is not wanted]
        if wanted.view == "grid" and at is None:
            template, shown = "curate_grid.html", show_grid(session, row, wanted, kind, cursor)
        elif wanted.name == "suspected-labels" and at is None and waits[wanted.name] > 1:
            template, shown = "curate_suspects.html", show_suspects(session, row)
        else:
            template, shown = "curate_queue.html", show_entry(session, row, wanted, at)
        if not (shown.get("findings") or shown.get("offers")):
            context["preset"] = at_once(screen, session, row)  # nothing waits here: the way on
        return screen.show(session, template, current="curate", dataset=row, **context, **shown)


@router.post("/datasets/{dataset}/curate/{queue}")
@needs("label", act="create_revision")
def act(screen: ScreenDep, dataset: str, queue: str, form: Annotated[ActForm, Form()]) -> Response:
    """Make an edit for a browser without script, and show the next entry."""
    find_queue(queue)
    with screen.services.database.transaction() as session:
        row = datasets.find(session, dataset)
        if form.undo:
            revisions.undo(session, row.id, form.undo, screen.visitor)
            done = None
        else:
            most = screen.services.settings.limits.dataset_classes
            for given in form.bodies():
                body = validated(ACT_OF[validated(Named, given, "body").act], given, "body")
                done = image_edits.carry_out(session, row.id, body, screen.visitor, most_labels=most).id
    query = "&".join(f"{name}={value}" for name, value in (("at", form.next), ("done", done)) if value)
    return RedirectResponse(f"/datasets/{dataset}/curate/{queue}?{query}", 303)


def find_queue(name: str) -> Queue:
    if name not in QUEUES:
        raise NotFound(f"There is no queue {name!r}.")
    return QUEUES[name]


def find_analysis(session: Session, row: Dataset) -> Any:
    try:
        found = analyses.find(session, row.id)
    except NotFound:
        return None
    return records.analysis(found, {}, 0, counts.of_images(session, row.id).labels)


def find_job(session: Session, dataset_id: str) -> Job | None:
    """Return the last analysis of the data set as a job."""
    found = jobs.page(session, Window(1), JobKind.ANALYSIS, dataset_id=dataset_id).data
    return job_records.job(found[0]) if found else None


def find_done(session: Session, dataset_id: str, done: str | None) -> Any:
    """Return the last edit made without script, to offer its undo."""
    try:
        return records.revision(revisions.find(session, dataset_id, done)) if done else None
    except NotFound:
        return None


def sample(session: Session, row: Dataset, queue: Queue) -> list[Image]:
    if queue.kinds:
        some = analyses.queue(session, row.id, queue.kinds, 2 * SHOWN)
        ids = list(dict.fromkeys(image for *_, image in some))[:SHOWN]
    else:
        ids = [entry.at for entry in read(session, row.id, queue)[:SHOWN]]
    return images_in_order(session, ids)


def images_in_order(session: Session, ids: Sequence[str]) -> list[Image]:
    found = {image.id: records.image(image) for image in datasets.images_of(session, ids)}
    return [found[image_id] for image_id in ids if image_id in found]


def show_grid(session: Session, row: Dataset, queue: Queue, kind: str | None, cursor: str | None) -> dict[str, Any]:
    """Return the grid of a kind of finding, by default the first that has any."""
    found = counts.of_findings(session, row.id)
    kinds = {each: found.get(each, 0) for each in queue.kinds}
    chosen = kind if kind in kinds else next((each for each in kinds if kinds[each]), queue.kinds[0])
    page = analyses.page(session, row.id, Window(GRID, cursor, (chosen,)), kind=chosen)
    return {
        "kinds": kinds,
        "kind": chosen,
        "words": QUALITY,
        "findings": [records.finding(each) for each in page.data],
        "next_cursor": page.next_cursor,
    }


def show_suspects(session: Session, row: Dataset) -> dict[str, Any]:
    """Return the first suspected labels side by side, and the act that changes all of them."""
    page = analyses.page(session, row.id, Window(SUSPECTS, None, ("suspected_label",)), kind="suspected_label")
    found = [records.finding(each) for each in page.data]
    changes = [{"image": each.image_id, **curate_acts.given(each.suggestion or {})} for each in found]
    return {"findings": found, "act": {"act": "accept_labels", "labels": changes}}


def show_entry(session: Session, row: Dataset, queue: Queue, at: str | None) -> dict[str, Any]:
    """Return an entry as shown, its place, and the edits for it."""
    entries = read(session, row.id, queue)
    place = find_place(session, row.id, queue, entries, at)
    if place.entry is None:
        return {"where": place}
    images = images_in_order(session, place.entry.images)
    rows = {image.id: image for image in datasets.images_of(session, place.entry.images)}
    mine = findings_of(session, row.id, queue, place.entry.at)
    found = [records.finding((each, rows[each.image_id])) for each in mine if each.image_id in rows]
    finding = found[0] if found else None
    suggested = (finding.suggestion or {}) if finding else {}
    labels = [label for label, _ in count_labels(counts.of_images(session, row.id).labels).most_common()]
    several = row.kind == "multi_label"
    return {
        "where": place,
        "images": images,
        "finding": finding,
        "kinds": {each.kind for each in found},
        "words": QUALITY,
        "suggested": suggested,
        "said": what_was_said(session, rows[images[0].id]) if queue.name == "corrections" and images else None,
        "neighbours": images_in_order(session, (suggested.get("neighbours") or [])[:NEIGHBOURS]),
        "labels": labels,
        "offers": curate_acts.offers(queue, images, finding, labels, several=several),
        "for_all": offers_for_all(session, row, queue, entries),
    }


def what_was_said(session: Session, row: ImageRow) -> dict[str, Any] | None:
    """Return what the model said of a picture that was corrected, while the result is kept."""
    found = results.last_answer(session, row.sha256)
    if found is None:
        return None
    job, answer = found
    screen = "/batches" if job.kind == JobKind.BATCH else "/jobs"
    labels = split_labels(answer.labels) if answer.labels is not None else (answer.label,)
    text = ", ".join(label for label in labels if label) or "none of the labels"
    return {"text": text, "score": answer.score, "href": f"{screen}/{job.id}"}


def offers_for_all(session: Session, row: Dataset, queue: Queue, entries: Sequence[Entry]) -> list[curate_acts.Offer]:
    """Return the edits for the whole queue."""
    if queue.name == "corrections" and len(entries) > 1:
        body = {"act": "review", "review": "accepted", "filter": {"review": "pending"}}
        return [curate_acts.Offer(f"Accept all {len(entries)}", "All accepted.", body)]
    if len(entries) < 2 or queue.name not in {"near-duplicates", "leakage", "crops"}:
        return []
    suggested = suggestions(session, row, queue)
    some = entries[:MOST_GROUPS]
    if queue.name == "near-duplicates":
        groups = [(suggested[entry.at].get("keep", entry.images[0]), entry.images) for entry in some]
        body = curate_acts.keep_best([(best, images) for best, images in groups if best in images])
        return [curate_acts.Offer(f"Keep the best of all {len(some)} groups", "The others are left out.", body)]
    if queue.name == "crops":
        crops = [{"image": entry.at, "crop": suggested[entry.at]["crop"]} for entry in some]
        return [curate_acts.Offer(f"Use all {len(some)} parts", "Done.", {"act": "accept_crops", "crops": crops})]
    groups_of: dict[str, list[str]] = defaultdict(list)
    for entry in some:
        groups_of[suggested[entry.at]["split"]] += entry.images
    return [
        curate_acts.Offer(
            f"Put all {len(images)} in {split}", f"All in {split}.", {"act": "split", "split": split, "images": images}
        )
        for split, images in groups_of.items()
    ]


def suggestions(session: Session, row: Dataset, queue: Queue) -> dict[str, Any]:
    """Return the suggestion of each entry by its `at`."""
    found: dict[str, Any] = {}
    for group, image_id, suggestion in analyses.suggestions(session, row.id, queue.kinds[0], MOST_GROUPS):
        found.setdefault(group or image_id, suggestion or {})
    return found
