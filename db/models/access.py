"""Who may do what: projects, keys, people, their sessions, and the audit trail."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, select
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from db.clock import now
from db.models.base import Base, Identity

DEFAULT_PROJECT: Final = "prj_default"
"""The project that there always is; its administrators administer the service."""
PROJECT_OPTION: Final = "project"


def current_project(context: Any) -> str:
    """Return the project of what is inserted: that of the `Database`, else the default one."""
    return str(context.execution_options.get(PROJECT_OPTION, DEFAULT_PROJECT))


class Project(Base):
    """What data sets, models, jobs, uploads, aliases, webhooks and keys belong to; one sees nothing of another."""

    __tablename__ = "projects"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    requests_per_minute: Mapped[int | None]
    """Of all its keys together; null: no limit."""
    pictures_per_day: Mapped[int | None]
    max_stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Never less than is stored, if there is a quota; null: to be counted (`db.stored_bytes`)."""
    created_at: Mapped[datetime] = mapped_column(default=now())


OTHERS = Project.__table__.alias("other_projects")


class OfProject:
    """What belongs to a project (`db.views` says who sees it)."""

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), default=current_project)


class Owned(OfProject):
    """What the keys of its project alone see."""


class ApiKey(OfProject, Base):
    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(12))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    old_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    """Of the secret before the last rotation; it works until `old_expires_at`."""
    old_expires_at: Mapped[datetime | None]
    scopes: Mapped[list[str]]
    """Of `tsukiji.scopes`."""
    datasets: Mapped[list[str]] = mapped_column(default=list)
    """Ids. With these or `models`, the key sees nothing else (`db.views`)."""
    models: Mapped[list[str]] = mapped_column(default=list)
    """Ids, or names of aliases."""
    requests_per_minute: Mapped[int | None]
    """Its own rate; null: as the settings say."""
    pictures_per_day: Mapped[int | None]
    """Null: no limit but that of its project."""
    created_at: Mapped[datetime] = mapped_column(default=now())
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    created_by: Mapped[str | None] = mapped_column(String(40))
    """The key that created it over HTTP; null if created on the server."""
    person_id: Mapped[str | None] = mapped_column(ForeignKey("people.id"), index=True)
    """The person who signs in to it by the provider; its secret was discarded, and its scopes are their role."""
    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)
    several: Mapped[bool] = column_property(select(OTHERS.c.id).where(OTHERS.c.id != DEFAULT_PROJECT).exists())
    """Whether there are other projects than the default one: while there are none, nothing needs to be filtered."""


class Usage(Base):
    """How many pictures a key or a project sent on a day (UTC). Counted only where there is a quota."""

    __tablename__ = "usages"
    owner: Mapped[str] = mapped_column(String(40), primary_key=True)
    """The id of the key or project."""
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    pictures: Mapped[int] = mapped_column(BigInteger, default=0)


class Rate(Base):
    """When a key or project will have its whole rate of requests again, if it has one (`db.rates`).

    Unlogged in PostgreSQL: empty after a crash, and no request waits for the disk.
    """

    __tablename__ = "rates"
    owner: Mapped[str] = mapped_column(String(40), primary_key=True)
    full_at: Mapped[float]
    """In seconds since 1970, by the database's clock."""


class Person(Base):
    """Someone whom the OpenID provider has signed in; what they may do is said by their keys, one for each project."""

    __tablename__ = "people"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(320), index=True)
    name: Mapped[str | None] = mapped_column(String(200))
    claimed_role: Mapped[str | None] = mapped_column(String(20))
    """In the default project, as the provider's claim said at the last sign-in; null: all roles are by invitation."""
    barred: Mapped[bool] = mapped_column(default=False)
    """An administrator removed them from the default project: the claim alone does not let them in again."""
    created_at: Mapped[datetime] = mapped_column(default=now())
    signed_in_at: Mapped[datetime] = mapped_column(default=now())


class Invitation(OfProject, Base):
    """Lets who shows a verified e-mail address into a project, once; being accepted deletes the row."""

    __tablename__ = "invitations"
    __table_args__ = (UniqueConstraint("project_id", "email"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    email: Mapped[str] = mapped_column(String(320), index=True)
    role: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(default=now())
    created_by: Mapped[str] = mapped_column(String(40))
    expires_at: Mapped[datetime]


class PageSession(Base):
    """A signed-in browser; the cookie's token is stored hashed."""

    __tablename__ = "page_sessions"
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]


class SignInLink(Base):
    """A link that signs one browser in; its token is stored hashed. Using the link deletes the row."""

    __tablename__ = "sign_in_links"
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]


class AuditEntry(Base):
    """One act: who did what, when, from where. Rows are only added (`db.audit`), and deleted by age."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_project", "project_id", "id"),)
    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    project_id: Mapped[str] = mapped_column(String(40), default=current_project)
    """It remains when the project is deleted."""
    at: Mapped[datetime] = mapped_column(default=now(), index=True)
    key_id: Mapped[str | None] = mapped_column(String(40))
    """Null for commands on the server."""
    name: Mapped[str] = mapped_column(String(200))
    """The key's name at the time, or the user's."""
    act: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str | None] = mapped_column(String(200))
    """The id of what was created."""
    address: Mapped[str] = mapped_column(Text)
    client: Mapped[str | None] = mapped_column(String(100))
    request_id: Mapped[str | None] = mapped_column(String(128))
