"""How a command ends: its exit code, and what a person is told. Knows no command."""

import os
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum
from json import JSONDecodeError
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from tsukiji import __version__, types
from tsukiji.cli.output import note
from tsukiji.cli.wording import place, sentence, way_out
from tsukiji.client import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APIStatusError,
    AuthenticationError,
    Client,
    GoneError,
    JobCancelledError,
    JobError,
    NotFoundError,
    PermissionDeniedError,
    WaitTimeout,
)


class ExitCode(IntEnum):
    OK = 0
    OTHER = 1
    USAGE = 2
    AUTH = 3
    NOT_FOUND = 4
    JOB_FAILED = 5
    CANCELLED = 6
    WAIT_TIMED_OUT = 7
    ITEM_ERRORS = 8
    INTERRUPTED = 130


VERSION_STATUSES: Final = frozenset({404, 405, 422})
INFO_SECONDS: Final = 10.0
EXPECTED: Final = (APIError, JobError, OSError, ValueError)
"""What can be said in a sentence. Anything else is a bug, and its traceback is wanted."""


def tell(error: Exception, names: Mapping[str, str]) -> ExitCode:
    """Say it, with fields of the request named as the command's own options and arguments (`names`)."""
    note(describe(error, names), style="red")
    if is_of_versions(error) and (differ := other_version()):
        note(differ, style="red")
    return exit_code(error)


def is_of_versions(error: Exception) -> bool:
    """May the cause be that the service is older or newer than this program?"""
    match error:
        case APIStatusError():
            return error.status_code in VERSION_STATUSES
        case APIResponseError() | ValidationError() | JSONDecodeError():
            return True
        case _:
            return False


def other_version() -> str | None:
    """Return that the service has another version than this program; None if it has the same, or does not say."""
    with suppress(APIError, ValueError), Client(timeout=INFO_SECONDS, max_retries=0) as client:
        theirs = client.info().version
        if theirs != __version__:
            return (
                f"The service has version {theirs}, this program {__version__}. Use the same version of both: "
                f"install {theirs} here, or upgrade the service."
            )
    return None


def exit_code(error: Exception) -> ExitCode:
    match error:
        case AuthenticationError() | PermissionDeniedError():
            return ExitCode.AUTH
        case NotFoundError() | GoneError():
            return ExitCode.NOT_FOUND
        case WaitTimeout():
            return ExitCode.WAIT_TIMED_OUT
        case JobCancelledError():
            return ExitCode.CANCELLED
        case JobError():
            return ExitCode.JOB_FAILED
        case ValidationError() | JSONDecodeError():
            return ExitCode.OTHER
        case ValueError():
            return ExitCode.USAGE
        case _:
            return ExitCode.OTHER


def describe(error: Exception, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """Say what happened and what to do about it."""
    match error:
        case AuthenticationError():
            return _lines(error.detail, key_hint())
        case APIStatusError():
            return _lines(
                sentence(error.detail, names), *_particulars(error, names), hint_of(error.problem), _trace(error)
            )
        case APIConnectionError():
            return _lines(
                f"The service does not answer: {error}",
                "Start one with `tsukiji up`, or set TSUKIJI_URL to where it runs.",
            )
        case WaitTimeout():
            return _lines(f"Timed out; {error}.", reattach(error.job.id))
        case JobError():
            return _lines(f"{way_out(str(error))}.", hint_of(error.job.error))
        case ValidationError() | JSONDecodeError():
            return "The answer is not that of a Tsukiji service of this version; check TSUKIJI_URL."
        case _:
            return str(error)


def hint_of(problem: types.Problem | None) -> str | None:
    """Return the way out of an error, in the words of the command line."""
    return way_out(problem.hint, problem.model_extra) if problem and problem.hint else None


def key_hint() -> str:
    made = "Create a key with `tsukiji keys create --name NAME` where the service runs"
    return (
        f"{made}, and set TSUKIJI_API_KEY to it."
        if not os.environ.get("TSUKIJI_API_KEY")
        else (f"The key in TSUKIJI_API_KEY is unknown to this service or revoked. {made}.")
    )


def reattach(job_id: str) -> str:
    return f"It continues. `tsukiji jobs watch {job_id}` follows it, `tsukiji jobs cancel {job_id}` stops it."


def _particulars(error: APIStatusError, names: Mapping[str, str]) -> list[str]:
    """Name each field that is wrong; where it is but one, the error itself has said so."""
    found = error.problem.errors or []
    return (
        []
        if len(found) == 1 and found[0].get("detail", "") in error.detail
        else [
            f"  {place(item.get('pointer') or item.get('parameter') or '', names)} {item.get('detail', '')}".rstrip()
            for item in found
        ]
    )


def _trace(error: APIStatusError) -> str | None:
    """A person can do nothing about a fault of the server but name it to who runs it."""
    return f"(request {error.request_id})" if error.request_id and error.status_code >= 500 else None


def _lines(*lines: str | None) -> str:
    return "\n".join(line for line in lines if line)
