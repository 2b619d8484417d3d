"""All that the tables say, at one moment."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from db.models import Chunk, Job, JobEvent, Prediction
from db.session import Database


@dataclass
class Picture:
    """All that the tables say."""

    jobs: dict[str, dict[str, Any]]
    chunks: dict[str, dict[str, Any]]
    histories: dict[str, list[str]]
    predictions: dict[str, dict[int, bool]]

    def row(self, work_id: str) -> dict[str, Any]:
        return self.jobs.get(work_id) or self.chunks[work_id]

    def chunks_of(self, job_id: str, *statuses: str) -> list[dict[str, Any]]:
        return [row for row in self.chunks.values() if row["job_id"] == job_id and row["status"] in statuses]


def look(database: Database) -> Picture:
    with database.reading() as session:
        rows = [dict(row._mapping) for row in session.execute(select(Job.__table__))]
        chunks = [dict(row._mapping) for row in session.execute(select(Chunk.__table__))]
        picture = Picture({row["id"]: row for row in rows}, {row["id"]: row for row in chunks}, {}, {})
        lines = select(JobEvent.job_id, JobEvent.data).where(JobEvent.event.in_({"status", "done"}))
        for job_id, data in session.execute(lines.order_by(JobEvent.id)):
            picture.histories.setdefault(job_id, []).append(data["status"])
        for job_id, seq, error in session.execute(select(Prediction.job_id, Prediction.seq, Prediction.error)):
            picture.predictions.setdefault(job_id, {})[seq] = error is None
    return picture


def without(row: dict[str, Any], columns: set[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in columns}
