"""Shared by all of the client: address, headers, retry rules, errors to exceptions. No I/O."""

import math
import os
import platform
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote, urlsplit

from pydantic import ValidationError

from tsukiji import __version__, types
from tsukiji.client import _exceptions as errors

DEFAULT_URL: Final = "http://127.0.0.1:8000"
FIRST_DELAY_SECONDS: Final = 0.5
LONGEST_DELAY_SECONDS: Final = 8.0
LONGEST_RETRY_AFTER_SECONDS: Final = 60.0
"""If a server asks for more, the usual delay is used."""
OFF: Final = frozenset({"off", "0", "false", "no"})
RETRIED: Final = frozenset({408, 409, 429})

ERROR_OF: Final[dict[int, type[errors.APIStatusError]]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    410: errors.GoneError,
    422: errors.UnprocessableEntityError,
    429: errors.RateLimitError,
}
_random = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Config:
    """Address of the service, timeouts and retries."""

    url: str
    api_key: str | None
    timeout_seconds: float
    max_retries: int
    progress: bool = True
    """Whether waits and uploads show a line where a person reads along."""

    @property
    def headers(self) -> dict[str, str]:
        agent = f"tsukiji-python/{__version__} python/{platform.python_version()}"
        key = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return {"User-Agent": agent, "Accept": "application/json", **key}

    @property
    def is_local(self) -> bool:
        """Whether the service is on this machine, where no proxy is used."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def configure(
    url: str | None, api_key: str | None, timeout_seconds: float, max_retries: int, progress: bool | None = None
) -> Config:
    """Fill in missing values from TSUKIJI_URL, TSUKIJI_API_KEY and TSUKIJI_PROGRESS.

    Raises:
        ValueError: the address is not an http or https URL.
    """
    address = (url or os.environ.get("TSUKIJI_URL") or DEFAULT_URL).rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{address!r} is not a service address; it should look like {DEFAULT_URL}")
    key = api_key or os.environ.get("TSUKIJI_API_KEY") or None
    shown = os.environ.get("TSUKIJI_PROGRESS", "").lower() not in OFF if progress is None else progress
    return Config(address, key, timeout_seconds, max_retries, shown)


def path(*segments: str) -> str:
    """Join segments to a path below `/v1`, with names percent-encoded."""
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)


def should_retry(status: int, headers: Mapping[str, str]) -> bool:
    if headers.get("x-should-retry") == "false":
        return False
    return status in RETRIED or status >= 500


def retry_delay(attempt: int, headers: Mapping[str, str]) -> float:
    """Return the seconds to wait after attempt 0, 1, 2, ...: the server's, or else doubling, with jitter."""
    told = retry_after(headers)
    if told is not None and told <= LONGEST_RETRY_AFTER_SECONDS:
        return told
    delay = min(FIRST_DELAY_SECONDS * 2.0**attempt, LONGEST_DELAY_SECONDS)
    return delay * (1 - 0.25 * _random.random())


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Parse `Retry-After`: seconds or an HTTP date (RFC 9110, section 10.2.3); None if missing or malformed."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value)
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _seconds_until(http_date: str) -> float:
    try:
        moment: datetime = parsedate_to_datetime(http_date)
    except ValueError:
        return math.nan
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - datetime.now(UTC)).total_seconds()


def status_error(status: int, headers: Mapping[str, str], body: bytes) -> errors.APIStatusError:
    """Return the exception for an error response, from the service or a proxy before it."""
    try:
        problem = types.Problem.model_validate_json(body)
    except ValidationError:
        text = body.decode("utf-8", "replace").strip()[:500]
        problem = types.Problem(code=f"http_{status}", title=f"The server answered {status}", detail=text)
    problem.request_id = problem.request_id or headers.get("x-request-id")
    fallback = errors.InternalServerError if status >= 500 else errors.APIStatusError
    return ERROR_OF.get(status, fallback)(status, problem)


def response_error(url: str, error: ValidationError) -> errors.APIResponseError:
    """Return the exception for a record that lacks what this client expects."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the body"
    return errors.APIResponseError(
        f"{url} answered with a {error.title} that this client, version {__version__}, does not understand "
        f"({where}: {first['msg']}). Service and client are of different versions: compare with `version` of "
        "GET /v1/info, and install the same."
    )
