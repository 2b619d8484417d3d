"""Label with the model: the pictures without a label, in piles to be accepted, and how good the labels are by now."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http.access import needs
from api.http.idempotency import Once
from api.page import counts
from api.page.charts import Line, line_chart
from api.page.rendering import percent
from api.page.screen import ScreenDep
from api.page.train import at_once
from api.serialize import job_records, records
from api.submit.features import start_suggestion
from db.curation import datasets, image_edits, revisions, suggestions
from db.jobs import jobs
from db.labels import MULTI
from db.models import Dataset
from db.paging import Window
from db.session import Session
from tsukiji import types
from tsukiji.errors import NotFound
from tsukiji.jobs import JobKind
from tsukiji.types.suggestions import DOUBTFUL

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

ROUNDS: Final = 200
SHOWN: Final = 24
"""Pictures of a pile without script; with script all of them are there."""
ACTS: Final = 6
HANDS: Final = ((0.97, 48), (0.0, 24))
"""Doubtful pictures that are accepted at once as suggested, from which accuracy on: no more than one looks at."""
SETTLED: Final = 0.01
"""Where half of the labels gave an accuracy within this of today's, more labels hardly change it."""
SETTLED_LABELS: Final = 60


@router.get("/datasets/{dataset}/label")
@needs("label")
def show_label(screen: ScreenDep, dataset: str) -> HTMLResponse:
    with screen.services.database.reading() as session:
        row = datasets.find(session, dataset)
        labels = dict(counts.of_images(session, row.id).labels)
        found = find_round(session, row)
        active = jobs.active_of(session, JobKind.SUGGESTION, row.id)
        edits = revisions.page(session, row.id, Window(ACTS)).data
        piles = [] if found is None else [describe(session, row, pile) for pile in found.piles]
        takes = count_accepted(piles, hand_of(found)) if found and found.accuracy is not None else None
        return screen.show(
            session,
            "label.html",
            current="label",
            dataset=row,
            multi=row.kind == MULTI,
            images=sum(labels.values()),
            unlabelled=labels.get(None, 0),
            takes=takes,
            accepted=[pile["accepted"] for pile in piles],
            preset=at_once(screen, session, row) if len(labels) > 1 else None,
            labels=sorted(label for label in labels if label),
            round=found,
            piles=piles,
            job=job_records.job(active) if active else None,
            curve=None if found is None else draw(found.history),
            settled=found is not None and has_settled(found.history),
            edits=[records.revision(edit) for edit in edits],
        )


def find_round(session: Session, row: Dataset) -> types.Suggestions | None:
    try:
        rounds = suggestions.rounds(session, row.id, ROUNDS)
    except NotFound:
        return None
    return records.suggestions(rounds, suggestions.piles(session, row.id))


def describe(session: Session, row: Dataset, pile: types.Pile) -> dict[str, Any]:
    """Return a pile with its first pictures, as a browser without script shows them."""
    first = suggestions.page(session, row.id, pile.pile, Window(SHOWN)).data
    return {
        "record": pile,
        "doubtful": pile.pile == DOUBTFUL,
        "cluster": pile.label is None and pile.pile != DOUBTFUL,
        "accepted": 0 if pile.label is None else pile.images,
        "images": [records.suggested_image(found) for found in first],
    }


def count_accepted(piles: list[dict[str, Any]], hand: int) -> str | None:
    """Note how many pictures of each pile one key accepts, and return the text on its button.

    It takes the piles of labels, and the doubtful as well if they can all be looked at beside them; without such piles,
    as many of the doubtful as can. None if there is nothing to accept.
    """
    sure = [pile for pile in piles if pile["accepted"]]
    doubtful = next((pile for pile in piles if pile["doubtful"]), None)
    if doubtful and not any(pile["cluster"] for pile in piles) and (not sure or doubtful["record"].images <= hand):
        doubtful["accepted"] = min(doubtful["record"].images, hand)
        return "Accept the first" if doubtful["accepted"] < doubtful["record"].images else "Accept all"
    return {0: None, 1: "Accept the pile:", 2: "Accept both piles:"}.get(len(sure), f"Accept all {len(sure)} piles:")


def hand_of(found: types.Suggestions | None) -> int:
    accuracy = (found.accuracy if found else None) or 0.0
    return next(hand for least, hand in HANDS if accuracy >= least)


def draw(history: list[types.SuggestionRound]) -> Markup | None:
    """Return accuracy over the number of labels; None before there are two labels."""
    measured = {each.labelled: each for each in history if each.accuracy is not None and each.accuracy_interval}
    if not measured:
        return None
    rounds = [measured[labelled] for labelled in sorted(measured)]
    points = [(float(each.labelled), each.accuracy or 0.0) for each in rounds]
    band = [(float(each.labelled), *each.accuracy_interval) for each in rounds if each.accuracy_interval]
    title = f"Accuracy over labels: {percent(points[-1][1])} with {points[-1][0]:.0f}"
    lines = [Line("accuracy", points, band)]
    axes: dict[str, Any] = {
        "x_name": "labels",
        "x_counts": True,
        "x_range": (0.0, points[-1][0]),
        "y_text": percent,
        "y_most": 1.0,
    }
    return line_chart(lines, title=title, **axes, width=330, height=190)


def has_settled(history: list[types.SuggestionRound]) -> bool:
    """Has the accuracy stopped changing, so that a person may stop labelling?"""
    measured = [(each.labelled, each.accuracy) for each in history if each.accuracy is not None]
    if not measured or measured[-1][0] < SETTLED_LABELS:
        return False
    labelled, accuracy = measured[-1]
    earlier = [before for count, before in measured if count <= labelled / 2]
    return bool(earlier) and abs(accuracy - earlier[-1]) <= SETTLED


@router.post("/datasets/{dataset}/label")
@needs("label", act="create_revision")
def accept_pile(
    screen: ScreenDep,
    dataset: str,
    pile: Annotated[str | None, Form(max_length=220)] = None,
    label: Annotated[str | None, Form(max_length=200)] = None,
) -> Response:
    """Give a whole pile its label, for a browser without script, and sort what is left; without a pile only sort."""
    services = screen.services
    if pile and label:
        act = types.Relabel(act="relabel", label=label, filter=types.ImageFilter(pile=pile))
        with services.database.transaction() as session:
            row = datasets.find(session, dataset)
            most = services.settings.limits.dataset_classes
            image_edits.carry_out(session, row.id, act, screen.visitor, most_labels=most)
    start_suggestion(services, screen.visitor, Once(None), dataset, types.SuggestionCreate())
    return RedirectResponse(f"/datasets/{dataset}/label", 303)
