"""Logs to standard error, one event a line: for people on a terminal, else JSON. Knows no program's events.

Events are `noun_verb` with fields: `structlog.get_logger(__name__).info("job_claimed", job_id=...)`. Ids bound with
`structlog.contextvars.bind_contextvars` are added to every following line, including third parties'.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.types import EventDict, Processor, WrappedLogger

from tsukiji.kernel.settings import LogSettings

_ids: ContextVar[dict[str, Any]] = ContextVar("ids")


@contextmanager
def identified(**ids: Any) -> Iterator[None]:
    """Add ids to every line of a request or a job, also of its threads; `identify` may add others later."""
    token = _ids.set(dict(ids))
    try:
        yield
    finally:
        _ids.reset(token)


def identify(**ids: Any) -> None:
    """Add ids to the lines of this request or job from now on, in all of its threads; nothing outside of them.

    Each thread has a copy of the context, but the copies share the dictionary.
    """
    if (known := _ids.get(None)) is not None:
        known.update(ids)


def merge_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {**_ids.get({}), **event}


OWN_HANDLERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "celery", "celery.task", "alembic", "py.warnings")
"""Loggers with handlers of their own, or disabled by their libraries."""
NOISY = (
    "alembic.runtime.plugins",
    "amqp",
    "asyncio",
    "botocore",
    "boto3",
    "httpcore2",
    "httpx2",
    "kombu",
    "matplotlib",
    "PIL",
    "s3transfer",
    "urllib3",
)
"""Loggers with irrelevant `info` events."""


def configure(settings: LogSettings, program: str) -> None:
    """Route all logs of this process, ours and third parties', to one handler; may be called again."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        merge_ids,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_program(program),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(settings, shared))
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[handler], level=settings.level.upper(), force=True)
    _quieten(logging.root.level)


def _formatter(settings: LogSettings, shared: list[Processor]) -> logging.Formatter:
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(_console_renderers() if console else _json_renderers()),
        ],
    )


def _json_renderers() -> list[Processor]:
    """Omit the variables of each frame: they contain keys and passwords."""
    tracebacks = ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer()]


def _console_renderers() -> list[Processor]:
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def _name_program(program: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["program"] = program
        return event

    return add


def _quieten(level: int) -> None:
    for name in OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
