"""What always holds, at every moment and from one moment to the next."""

from itertools import pairwise
from typing import Any

from tests.db.jobs.machine.picture import Picture, without
from tsukiji.jobs import TERMINAL, TRANSITIONS, JobStatus

HELD = {"running", "cancelling"}
OF_OTHERS = {"model_id"}
"""What a deleted model takes out of a job's row, ended or not."""
UNSEEN = {"lease_expires_at", "turn", "version"} | OF_OTHERS
"""Columns whose change alone is no news to anybody."""


def check_job(row: dict[str, Any], history: list[str]) -> None:
    status = row["status"]
    assert history[0] == "queued"
    for start, end in pairwise(history):
        assert end in TRANSITIONS[JobStatus(start)], f"illegal move: {history}"
    assert history[-1] == status, f"the history {history} hides that the job is {status}"
    assert (row["finished_at"] is not None) == (status in TERMINAL)
    assert (row["error"] is not None) == (status in {"failed", "expired"})
    assert row["started_at"] is not None or status not in HELD | {"succeeded"}
    assert row["cancel_requested_at"] is not None or status not in {"cancelling", "cancelled"}
    held = status in HELD and not row["planned"]
    assert (row["lease_owner"] is not None) == held, f"{status}, held by {row['lease_owner']}"
    assert (row["lease_expires_at"] is not None) == held, f"{status}, lease until {row['lease_expires_at']}"


def check_batch(picture: Picture, row: dict[str, Any]) -> None:
    waiting, running = picture.chunks_of(row["id"], "queued"), picture.chunks_of(row["id"], "running")
    status = row["status"]
    assert (status in TERMINAL) == (not waiting and not running), f"{status}, {len(waiting)} + {len(running)} open"
    assert not running or status in HELD, f"{status} while somebody is at work"
    if status == "cancelling":
        assert running, "nobody is left to end the cancelling"
        assert not waiting, "chunks wait that nobody may take"
    if status == "succeeded":
        assert row["items_succeeded"] + row["items_errored"] == row["items_total"]


def check_unplanned(picture: Picture, row: dict[str, Any]) -> None:
    waiting, running = picture.chunks_of(row["id"], "queued"), picture.chunks_of(row["id"], "running")
    status = row["status"]
    assert status not in TERMINAL or not (waiting or running), f"{status}, {len(waiting)} + {len(running)} open"
    assert status != "cancelling" or not waiting, "chunks wait that nobody may take"


def check_counts(picture: Picture, row: dict[str, Any]) -> None:
    found = picture.predictions.get(row["id"], {})
    good = sum(found.values())
    assert (row["items_succeeded"], row["items_errored"], row["completed"]) == (good, len(found) - good, len(found))
    ended = picture.chunks_of(row["id"], "succeeded", "failed")
    assert set(found) == {seq for chunk in ended for seq in range(chunk["first_seq"], chunk["last_seq"] + 1)}
    assert len(found) <= row["items_total"]


def check_chunk(row: dict[str, Any]) -> None:
    held = row["status"] == "running"
    assert (row["lease_owner"] is not None, row["lease_expires_at"] is not None) == (held, held)
    assert row["attempt"] < row["max_attempts"] or row["status"] != "queued", "waits, but nobody may take it"


def check_step(before: Picture, after: Picture) -> None:
    """Compare two pictures, one step apart."""
    for job_id, old in before.jobs.items():
        new = after.jobs[job_id]
        history = before.histories[job_id]
        assert after.histories[job_id][: len(history)] == history, "history was rewritten"
        if old["status"] in TERMINAL:
            assert without(new, OF_OTHERS) == without(old, OF_OTHERS), "an ended job changed"
        assert new["attempt"] >= old["attempt"]
        news = without(new, UNSEEN) != without(old, UNSEEN)
        assert not news or new["version"] > old["version"], "a change that no watcher notices"
    for chunk_id, old in before.chunks.items():
        new = after.chunks[chunk_id]
        assert old["status"] not in TERMINAL or new == old, "an ended chunk changed"
        assert new["attempt"] >= old["attempt"]
