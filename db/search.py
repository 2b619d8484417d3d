"""Data sets, models and jobs by a part of what they are called."""

import re
from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, case, func, or_, select, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.models import Alias, Dataset, Job, Model
from tsukiji.jobs import PREFIX_OF, JobKind

RECENT: Final = 200
"""Newest jobs of each kind that are searched; older ones are found by their id."""
NAMELESS: Final = {JobKind.PREDICTION}
NAMES: Final = ("name", "dataset_name", "model_name")
"""Members of a request that people may remember a job by."""
JOB_ID: Final = re.compile(rf"({'|'.join(PREFIX_OF.values())})_([0-9a-z]*)")


def contains(column: InstrumentedAttribute[str], words: str) -> ColumnElement[bool]:
    """Whether a text has these words in it, in any case."""
    return func.lower(column).contains(words.lower(), autoescape=True) | column.contains(words, autoescape=True)


def fit(column: InstrumentedAttribute[str], words: str) -> ColumnElement[int]:
    """What to order by: the very words first, then what begins with them."""
    lower = words.lower()
    return case((func.lower(column) == lower, 0), (func.lower(column).startswith(lower, autoescape=True), 1), else_=2)


def find_datasets(session: Session, words: str, limit: int) -> Sequence[Dataset]:
    """Return those with the id, or the words in their name; the best fit first, then the newest."""
    query = select(Dataset).where(or_(Dataset.id == words, contains(Dataset.name, words)))
    return session.scalars(query.order_by(fit(Dataset.name, words), Dataset.id.desc()).limit(limit)).all()


def find_models(session: Session, words: str, limit: int) -> Sequence[Model]:
    """Return those with the id, or the words in their name or in that of an alias; the best fit first."""
    named = select(Alias.model_id).where(contains(Alias.name, words))
    query = select(Model).where(or_(Model.id == words, contains(Model.name, words), Model.id.in_(named)))
    return session.scalars(query.order_by(fit(Model.name, words), Model.id.desc()).limit(limit)).all()


def find_jobs(session: Session, words: str, limit: int) -> Sequence[Job]:
    """Return those whose id begins so; else recent ones with the words in a name or in their metadata, newest first."""
    if found := JOB_ID.fullmatch(words.strip().lower()):
        age = found[2]  # letters and digits alone sort the same in every collation
        query = select(Job).where(Job.age >= age, Job.age <= age + "z" * 26, Job.id.startswith(found[1] + r"_"))
        return session.scalars(query.order_by(Job.age.desc()).limit(limit)).all()
    ids = [row[0] for row in recent_jobs(session) if any(words.casefold() in text.casefold() for text in row[1])]
    return session.scalars(select(Job).where(Job.id.in_(ids)).order_by(Job.age.desc()).limit(limit)).all()


def recent_jobs(session: Session) -> list[tuple[str, list[str]]]:
    """Return the newest jobs of each kind, each with the texts that people may remember it by."""
    newest = [
        select(select(Job.id).where(Job.kind == kind).order_by(Job.created_at.desc()).limit(RECENT).subquery().c.id)
        for kind in JobKind
        if kind not in NAMELESS
    ]
    texts = (Job.request[name].as_string() for name in NAMES)
    rows = session.execute(select(Job.id, Job.meta, *texts).where(Job.id.in_(union_all(*newest))))
    return [(job_id, [text for text in (*names, *map(str, meta.values())) if text]) for job_id, meta, *names in rows]
