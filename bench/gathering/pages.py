"""Pages of a long list of images over HTTP: any filter, any position."""

import time
from typing import Any, Final

from sqlalchemy import insert, text
from starlette.testclient import TestClient

from api.main import create_app
from api.services import open_services
from db import keys
from db.curation import analyses, datasets
from db.models import Blob, Finding, Image
from db.session import Database
from db.upgrade import upgrade
from tsukiji.ids import new_id
from tsukiji.kernel.settings import Settings

PART: Final = 5000
LABELS: Final = 50
SPLITS: Final = ("train", "train", "train", "valid", "test")
PAGES: Final = 40
LIMIT: Final = 50
QUERIES: Final = (
    "images?",
    "images?label=label-3&",
    "images?split=test&",
    "images?label=label-7&split=valid&",
    "images?label=label-49&split=test&",
    "images?unlabelled=true&",
    "images?unlabelled=true&split=valid&",
    "images?label=none&",
    "findings?",
    "findings?kind=blurry&",
    "findings?kind=crop&label=label-3&",
)


def measure(settings: Settings, images: int) -> dict[str, Any]:
    """Return the 95th percentile of a page's milliseconds, over all queries and for the worst one."""
    upgrade(settings)
    services = open_services(settings)
    dataset_id = fill(services.database, images)
    with services.database.transaction() as session:
        _, key = keys.create(session, "pages")
    app = create_app(settings, lambda _: services)
    with TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}) as client:
        times = {query: walk(client, f"/v1/datasets/{dataset_id}/{query}") for query in QUERIES}
    every = [value for found in times.values() for value in found]
    worst = max(times, key=lambda query: percentile(times[query]))
    return {"page_p95_ms": percentile(every), "page_worst_p95_ms": percentile(times[worst]), "page_worst": worst}


def walk(client: TestClient, query: str) -> list[float]:
    """Read pages one after the other, with leaps: every second one is of 200."""
    times, cursor = [], ""
    for number in range(PAGES):
        limit = LIMIT if number % 2 == 0 else 4 * LIMIT
        began = time.perf_counter()
        answer = client.get(f"{query}limit={limit}{cursor}")
        times.append(1000 * (time.perf_counter() - began))
        found: Any = answer.raise_for_status().json()["next_cursor"]
        cursor = f"&cursor={found}" if found else ""
    return times


def percentile(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def fill(database: Database, images: int) -> str:
    """Insert images without pictures: labels of very different sizes, one in ten unlabelled, findings on many."""
    with database.transaction() as session:
        dataset_id = datasets.create(session, "many").id
    for start in range(0, images, PART):
        rows = [image(dataset_id, number) for number in range(start, min(start + PART, images))]
        with database.transaction() as session:
            session.execute(insert(Blob), [{"sha256": row["sha256"], "bytes": 1} for row in rows])
            session.execute(insert(Image), rows)
            session.execute(insert(Finding), [found for row in rows for found in findings(row)])
    with database.transaction() as session:
        analyses.note(session, dataset_id, "ana_bench", images, [])
        if session.get_bind().dialect.name == "postgresql":  # by itself it does so each minute
            session.execute(text("ANALYZE"))
    return dataset_id


def image(dataset_id: str, number: int) -> dict[str, Any]:
    label = None if number % 10 == 0 else f"label-{min(LABELS - 1, number * 7919 % 997 % (1 + number % LABELS))}"
    return {
        "id": new_id("img"),
        "dataset_id": dataset_id,
        "sha256": f"{number:064x}",
        "name": f"{label}/{number}.jpg",
        "label": label,
        "split": SPLITS[number % len(SPLITS)],
        "width": 500,
        "height": 375,
        "bytes": 1,
        "format": "JPEG",
    }


def findings(row: dict[str, Any]) -> list[dict[str, Any]]:
    number = int(row["sha256"], 16)
    kinds = [kind for kind, step in (("blurry", 20), ("crop", 3)) if number % step == 0]
    known = {"image_id": row["id"], "dataset_id": row["dataset_id"], "group_id": "", "suggestion": None}
    return [known | {"kind": kind, "score": number % 1000 / 1000} for kind in kinds]
