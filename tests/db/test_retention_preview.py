"""What is deleted next: what the dispatcher would delete, and nothing is touched."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from db import blobs
from db.__main__ import main
from db.clock import now
from db.curation import import_verdicts
from db.jobs import batches, jobs, uploads
from db.models import AuditEntry, Blob, IdempotencyKey, Job, Webhook, WebhookDelivery
from db.predictions import retention
from db.retention_preview import preview
from tests.db.predictions.test_retention import ended
from tests.requests import BLANK
from tsukiji.jobs import JobKind, JobStatus

DAY = 86_400


def look(session, settings, days=0, **changes):
    kept = settings.retention.model_copy(update=changes)
    found = preview(session, settings.model_copy(update={"retention": kept}), days)
    return {due.kind: due for due in found}


def finished(session, job, days):
    session.execute(update(Job).where(Job.id == job.id).values(finished_at=now(-days * DAY)))


def test_results_fall_due_by_their_own_date_or_by_the_setting(session, settings):
    kept, old, young = ended(session, 0), ended(session), ended(session)
    own = ended(session, 3)
    finished(session, old, 40)
    finished(session, kept, 99)
    assert look(session, settings)["batches"].count == 0, "the default keeps them"
    found = look(session, settings, batch_days=30)["batches"]
    assert (found.count, found.rows, found.rule) == (1, 5, "TSUKIJI_RETENTION_BATCH_DAYS=30")
    assert abs(found.oldest - (jobs.find(session, old.id).finished_at)) < timedelta(seconds=1)
    assert look(session, settings, days=4, batch_days=30)["batches"].count == 2, f"{own.id} in three days"
    assert look(session, settings, days=31, batch_days=30)["batches"].count == 3, f"{young.id} too"


def test_it_says_what_the_dispatcher_then_does(session, settings):
    for days in (1, 40, 50):
        finished(session, ended(session), days)
    assert look(session, settings, batch_days=30)["batches"].count == 2
    assert retention.give_up(session, frozenset({JobKind.BATCH}), 30) == 2
    session.execute(update(Job).where(Job.results_expire_at <= now()).values(results_expire_at=now(-1)))
    assert look(session, settings, batch_days=30)["batches"].count == 2
    while job := retention.next_due(session):
        retention.close(session, job, "retention")
        while retention.delete_slice(session, job.id):
            pass
    assert look(session, settings, batch_days=30)["batches"].count == 0


def test_only_pictures_that_nothing_else_has_are_freed(session, settings):
    job, other = ended(session, 1), jobs.create(session, JobKind.BATCH, request=BLANK[JobKind.BATCH], max_attempts=3)
    session.execute(update(Job).where(Job.id == job.id).values(results_expire_at=now(-1)))
    session.execute(update(Blob).values(bytes=1000))
    assert look(session, settings)["batches"].bytes == 5000
    batches.add_items(session, other.id, [{"custom_id": "a", "sha256": f"{0:064x}"}])
    uploads.add(session, "upl_1", 1, name="a", bytes=9, part_bytes=9, token="t", blob_sha256=f"{1:064x}")
    assert look(session, settings)["batches"].bytes == 3000


def test_all_that_is_deleted_by_age_is_counted(session, settings, key):
    imported = jobs.create(session, JobKind.IMPORT, request=BLANK[JobKind.IMPORT], max_attempts=3)
    row = {"name": "a.png", "verdict": "accepted", "label": None, "image_id": None, "error": None}
    import_verdicts.add_verdicts(session, imported.id, [row | {"seq": seq} for seq in range(3)])
    jobs.move(session, imported.id, JobStatus.CANCELLED)
    finished(session, imported, 91)
    uploads.add(session, "upl_1", -1, name="a", bytes=90, part_bytes=50, token="t")
    blobs.keep(session, [("f" * 64, 700)])
    session.execute(update(Blob).values(used_at=now(-2 * DAY)))
    session.add(Webhook(id="whk_1", url="https://example.com", events=["*"], secret="s"))
    session.flush()
    session.add(WebhookDelivery(id="msg_1", webhook_id="whk_1", event="a.b", data={}, status="failed"))
    session.add(AuditEntry(name="anna", act="create_key", address="here"))
    session.add(IdempotencyKey(scope="a", fingerprint="b", resource_id="c"))
    session.flush()
    assert {kind for kind, due in look(session, settings).items() if due.count} == {
        "imports",
        "uploads",
        "unreferenced bytes",
    }
    found = look(session, settings)
    assert (found["imports"].rows, found["unreferenced bytes"].bytes) == (3, 700)
    session.execute(update(WebhookDelivery).values(ended_at=now(-31 * DAY)))
    session.execute(update(AuditEntry).values(at=now(-401 * DAY)))
    session.execute(update(IdempotencyKey).values(created_at=now(-25 * 3600)))
    found = look(session, settings)
    assert [found[kind].count for kind in ("webhook deliveries", "audit entries", "idempotency keys")] == [1, 1, 1]
    assert look(session, settings, audit_days=0)["audit entries"].count == 0
    assert session.scalar(select(AuditEntry.id)) is not None, "nothing was touched"


def test_a_rule_is_applied_slice_by_slice(session, monkeypatch):
    monkeypatch.setattr(retention, "SLICE_JOBS", 2)
    for _ in range(3):
        finished(session, ended(session), 40)
    assert [retention.give_up(session, frozenset({JobKind.BATCH}), 30) for _ in range(3)] == [2, 1, 0]


@pytest.fixture
def environment(monkeypatch, settings):
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(settings.data.dir))
    monkeypatch.setenv("TSUKIJI_RETENTION_BATCH_DAYS", "30")
    if settings.database.url:
        monkeypatch.setenv("TSUKIJI_DATABASE_URL", settings.database.url)


def test_the_command_prints_a_line_or_an_object_for_each_kind(environment, database, capsys):
    with database.transaction() as session:
        finished(session, ended(session), 40)
    assert main(["retention", "--dry-run"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("batches: 1 with 5 rows")
    assert "TSUKIJI_RETENTION_BATCH_DAYS=30" in first
    assert main(["retention", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (told[0]["kind"], told[0]["count"]) == ("batches", 1)
    assert len({line["kind"] for line in told}) == len(told) == 8


def test_where_there_is_no_database_none_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(tmp_path / "other"))
    monkeypatch.delenv("TSUKIJI_DATABASE_URL", raising=False)
    assert main(["retention"]) == 4
    assert "no database" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.db"))
