"""The map of a data set: its pictures in a plane, coloured by what is known of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse

from api.http.access import needs
from api.http.errors import recognise, status_of
from api.page import counts
from api.page.data import FINDINGS
from api.page.screen import Screen, ScreenDep
from api.submit import dataset_maps
from api.submit.similar import Where
from db.curation import datasets
from tsukiji.errors import NotFound, TsukijiError
from tsukiji.labels import count_labels
from tsukiji.types.similar import DatasetMap, MapPoint

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

POINTS: Final = 3000
IMAGE_SIZE: Final = 224
COLOURS: Final = 8
"""Of the most frequent values, by the classes of `style.css`; all others are grey."""

By = Literal["label", "predicted", "finding"]


@dataclass(frozen=True)
class Colour:
    """What points of one colour have in common; `number` 0 is grey."""

    text: str
    number: int
    points: Sequence[MapPoint]


@router.get("/datasets/{dataset}/map")
@needs("read")
async def show_map(dataset: str, screen: ScreenDep, by: By = "label") -> HTMLResponse:
    """Show the map; those that are chosen in it can be labelled."""
    try:
        found = await dataset_maps.draw(screen.services, Where(dataset, "auto", IMAGE_SIZE, POINTS))
    except NotFound:
        raise
    except TsukijiError as error:
        return await run_in_threadpool(show, screen, dataset, by, None, error)
    return await run_in_threadpool(show, screen, dataset, by, found)


def show(
    screen: Screen, dataset: str, by: By, found: DatasetMap | None, error: TsukijiError | None = None
) -> HTMLResponse:
    with screen.services.database.reading() as session:
        row = datasets.find(session, dataset)
        labels = [label for label, _ in count_labels(counts.of_images(session, row.id).labels).most_common()]
        status = 200 if error is None else status_of(type(recognise(error)))
        colours = coloured(found.points, by) if found else []
        context = {"found": found, "error": error, "colours": colours, "by": by, "labels": labels}
        return screen.show(session, "map.html", current="data", dataset=row, status=status, **context)


def coloured(points: Sequence[MapPoint], by: By) -> list[Colour]:
    """Return the points by colour: the grey ones first, so that the others are drawn over them."""
    texts = [text_of(point, by) for point in points]
    frequent = [text for text, _ in Counter(text for text in texts if text).most_common(COLOURS)]
    numbers = {text: number for number, text in enumerate(frequent, 1)}
    parts: list[list[MapPoint]] = [[] for _ in range(len(frequent) + 1)]
    for point, text in zip(points, texts, strict=True):
        parts[numbers.get(text, 0)].append(point)
    others = "others" if any(text and text not in numbers for text in texts) else "none"
    return [Colour(text, number, parts[number]) for number, text in enumerate([others, *frequent]) if parts[number]]


def text_of(point: MapPoint, by: By) -> str:
    if by == "finding":
        return FINDINGS[point.findings[0]] if point.findings else ""
    return ", ".join((point.labels if by == "label" else point.predicted) or [])
