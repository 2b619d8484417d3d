"""Which images of a batch are found, in which order, and how many: the same on both databases."""

import itertools

import pytest

from db.jobs import batches, jobs, leases
from db.models import Chunk
from db.paging import Window
from db.predictions import results
from db.predictions.decisions import Rule
from db.predictions.results import Wanted
from tests.db.jobs.test_batches import make
from tests.requests import BLANK
from tsukiji.errors import Invalid, ResultsDeleted
from tsukiji.jobs import JobKind

SCORES = (0.2, 0.5, 0.5, 0.7, 0.9)
KNOWN = (None, 0.01, 0.05, 0.5)
RULE = Rule(threshold=0.5, min_known=0.05)


@pytest.fixture
def batch(session):
    """Twenty images of two labels with all scores and known scores, two that failed, and one that waits."""
    job, chunks = make(session, images=23, chunk_images=22)
    work = leases.claim(session, Chunk, chunks[0], "w", 30)
    cells = list(itertools.product(SCORES, KNOWN))
    found = [
        batches.blank_prediction(seq) | {"label": "cat" if seq % 3 else "dog", "score": score, "known_score": known}
        for seq, (score, known) in enumerate(cells)
    ]
    found += [
        batches.blank_prediction(seq) | {"error": {"code": code}} for seq, code in ((20, "truncated"), (21, "no"))
    ]
    assert batches.finish_chunk(session, work, found)
    return job.id, {row["seq"]: row for row in found if row["label"]}


def seqs(session, job_id, limit=100, **wishes):
    """Every image that is found, page by page."""
    wanted, cursor, found = Wanted(**wishes), None, []
    while True:
        rows, cursor = results.page(session, job_id, Window(limit, cursor), wanted)
        found += [row.seq for row in rows]
        if cursor is None:
            return found
        assert len(rows) == limit


@pytest.mark.parametrize("threshold", [0, 0.2, 0.5, 0.50001, 1])
@pytest.mark.parametrize("min_known", [0, 0.01, 0.05, 1])
def test_the_database_decides_as_the_answers_do(session, batch, threshold, min_known):
    job_id, rows = batch
    rule = Rule(threshold, min_known)
    refusals = {seq: rule.refusal(row["score"], row["known_score"]) for seq, row in rows.items()}
    decided = [seq for seq, refusal in refusals.items() if refusal is None]
    assert seqs(session, job_id, rule=rule, abstained=False) == decided
    assert seqs(session, job_id, rule=rule, abstained=True) == [seq for seq in rows if seq not in decided]
    for label in ("cat", "dog"):
        expected = [seq for seq in decided if rows[seq]["label"] == label]
        assert seqs(session, job_id, rule=rule, decision=label) == expected
    counted = {(group.label, group.refusal): group.images for group in results.groups(session, job_id, rule)}
    for key, images in counted.items():
        assert images == sum((row["label"], refusals[seq]) == key for seq, row in rows.items())
    assert sum(counted.values()) == len(rows)


def test_what_is_decided_cannot_have_abstained(session, batch):
    assert seqs(session, batch[0], rule=RULE, decision="cat", abstained=True) == []


def test_by_label_score_status_and_error(session, batch):
    job_id, rows = batch
    assert seqs(session, job_id, label="dog") == [0, 3, 6, 9, 12, 15, 18]
    assert seqs(session, job_id, min_score=0.5, max_score=0.7) == list(range(4, 16)), "bounds are included"
    assert seqs(session, job_id, label="dog", min_score=0.6) == [12, 15, 18]
    assert seqs(session, job_id, status="succeeded") == sorted(rows)
    assert seqs(session, job_id, status="errored") == [20, 21]
    assert seqs(session, job_id, error="no") == [21]
    assert seqs(session, job_id, status="unreached") == [22]
    assert seqs(session, job_id, status="reached") == list(range(22))
    assert seqs(session, job_id, label="bird") == []
    assert seqs(session, job_id, status="unreached", label="dog") == [], "what has no prediction has no label"


@pytest.mark.parametrize("limit", [1, 3, 7, 20])
@pytest.mark.parametrize("wishes", [{}, {"label": "cat"}, {"rule": RULE, "abstained": True}])
def test_by_score_every_image_comes_once_whatever_the_pages(session, batch, limit, wishes):
    job_id, rows = batch
    chosen = seqs(session, job_id, status="succeeded", **wishes)
    expected = sorted(chosen, key=lambda seq: (rows[seq]["score"], seq))
    assert seqs(session, job_id, limit, order="score", **wishes) == expected
    assert seqs(session, job_id, limit, order="-score", **wishes) == expected[::-1]


def test_by_true_label(session):
    job = jobs.create(session, JobKind.BATCH, request=BLANK[JobKind.BATCH], max_attempts=3)
    labels = ["cat", "dog", "cat", None]
    batches.add_items(
        session, job.id, [{"custom_id": str(n), "sha256": None, "true_label": label} for n, label in enumerate(labels)]
    )
    (chunk_id,) = batches.finish_plan(session, job, 4, 4, 3)
    assert seqs(session, job.id, true_label="cat") == [0, 2], "also before they are classified"
    work = leases.claim(session, Chunk, chunk_id, "w", 30)
    found = [batches.blank_prediction(seq) | {"label": "dog", "score": 0.9 - seq / 10} for seq in range(3)]
    found.append(batches.blank_prediction(3) | {"error": {"code": "truncated"}})
    batches.finish_chunk(session, work, found)
    assert seqs(session, job.id, 1, true_label="cat", label="dog", order="score") == [2, 0]
    assert seqs(session, job.id, true_label="cat", label="cat") == []


@pytest.mark.parametrize("key", [3, [0.5], ["a", 1], [0.5, None], {}])
def test_a_cursor_by_score_that_is_not_ours(session, batch, key):
    window = Window(3, Window().cursor_after(key))
    with pytest.raises(Invalid):
        results.page(session, batch[0], window, Wanted(order="score"))


def test_results_that_were_deleted_are_not_kept(session, batch):
    job = jobs.find(session, batch[0])
    results.check_kept(job)
    jobs.change(session, results.Job.id == job.id, results_deleted_at=job.created_at)
    with pytest.raises(ResultsDeleted, match=job.id):
        results.check_kept(jobs.find(session, job.id))
