"""The audit log: who did what, when, from where. Rows are only added, in the transaction of the act.

A request's database knows its `Actor`. A transaction that wrote something gets one row before it is committed, so no
route can act without one, and none stays of what was rolled back. Retention alone deletes rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, CursorResult, delete, event, select
from sqlalchemy.orm import ORMExecuteState, Session

from db.bulk import insert_rows
from db.clock import now
from db.models import AuditEntry
from db.paging import Rows, Window, fetch

SLICE: Final = 1000
WROTE, SUBJECT = "wrote", "subject"


@dataclass(frozen=True)
class Actor:
    """Who acts, and how.

    Attributes:
        key_id: the key; None for commands on the server.
        name: of the key at the time; for commands, of the user.
        act: the operation, such as `create_training`.
        address: method and path, or the command.
        client: the address that the request came from.
        request_id: of the request, as in the log.
    """

    key_id: str | None
    name: str
    act: str
    address: str
    client: str | None = None
    request_id: str | None = None


def watch(session: Session) -> None:
    """Note whether the session writes."""
    event.listen(session, "do_orm_execute", _note_statement)
    event.listen(session, "after_flush", _note_flush)


def _note_statement(state: ORMExecuteState) -> None:
    if not state.is_select:
        state.session.info[WROTE] = True


def _note_flush(session: Session, _context: Any) -> None:
    session.info[WROTE] = True


def about(session: Session, subject: str) -> None:
    """Say what the transaction creates; the address names all else."""
    session.info[SUBJECT] = subject


def write(session: Session, actor: Actor) -> None:
    """Add the row of this transaction, if it wrote something."""
    session.flush()
    if session.info.get(WROTE):
        row = {**vars(actor), "address": actor.address[:500], "subject": session.info.get(SUBJECT)}
        insert_rows(session, AuditEntry, [row])


@dataclass(frozen=True)
class Choice:
    """Which entries: those that match all that is given. `key` is an id or a name; `subject` may be in the address."""

    key: str | None = None
    act: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        if self.key is not None:
            yield (AuditEntry.key_id == self.key) | (AuditEntry.name == self.key)
        if self.act is not None:
            yield AuditEntry.act == self.act
        if self.subject is not None:
            in_address = AuditEntry.address.contains(f"/{self.subject}", autoescape=True)
            yield (AuditEntry.subject == self.subject) | in_address
        if self.since is not None:
            yield AuditEntry.at >= self.since
        if self.until is not None:
            yield AuditEntry.at < self.until


def page(session: Session, choice: Choice, window: Window) -> Rows[AuditEntry]:
    """Newest first."""
    return fetch(session, select(AuditEntry).where(*choice.conditions()), AuditEntry.id, window, newest=True)


def forget(session: Session, days: float) -> int:
    """Delete up to `SLICE` entries that are older; returns how many."""
    old = select(AuditEntry.id).where(AuditEntry.at < now(-86400 * days)).order_by(AuditEntry.id).limit(SLICE)
    gone = delete(AuditEntry).where(AuditEntry.id.in_(old)).execution_options(synchronize_session=False)
    result = session.execute(gone)
    return cast("CursorResult[Any]", result).rowcount
