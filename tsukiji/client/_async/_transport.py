"""HTTP transport: calls with retries, streams, paged lists. Knows no resources."""

import itertools
import os
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, BinaryIO, Self, TypedDict, TypeVar, Unpack

import httpx2
from pydantic import BaseModel, ValidationError

from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._async._runtime import sleep, streamed
from tsukiji.client._base import Config, response_error, retry_delay, should_retry, status_error
from tsukiji.client._exceptions import APIConnectionError, APIError, APITimeoutError

T = TypeVar("T", bound=BaseModel)
CONNECT_SECONDS = 5.0
Files = Sequence[tuple[str, tuple[str, BinaryIO | bytes]]]


class Options(TypedDict, total=False):
    """Options of a call; `timeout` is in seconds without data, `max_retries` overrides the client's."""

    params: Mapping[str, Any]
    headers: Mapping[str, str]
    json: Any
    data: Mapping[str, Any]
    files: Files
    content: BinaryIO
    timeout: float
    max_retries: int


class Transport:
    """A pool of connections."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.sleep = sleep
        self._http = httpx2.AsyncClient(base_url=config.url, headers=config.headers, trust_env=not config.is_local)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def request(self, method: str, path: str, **options: Unpack[Options]) -> httpx2.Response:
        """Make one call, and read the whole response.

        Raises:
            APIStatusError: an error response.
            APIConnectionError: no response, after all retries.
        """
        return await self._send(method, path, options, stream=False)

    async def json(self, method: str, path: str, **options: Unpack[Options]) -> Any:
        """Make one call, and return the parsed body; raises as `request` does."""
        response = await self.request(method, path, **options)
        return response.json()

    async def fetch(self, kind: type[T], method: str, path: str, **options: Unpack[Options]) -> T:
        """Make one call, and return the record in its response; raises as `request` does.

        Raises:
            APIResponseError: it is no such record.
        """
        return self._parse(partial(kind.model_validate, context=self), await self.json(method, path, **options))

    def _parse(self, read: Callable[[Any], T], data: Any) -> T:
        try:
            return read(data)
        except ValidationError as error:
            raise response_error(self.config.url, error) from error

    @asynccontextmanager
    async def stream(self, method: str, path: str, **options: Unpack[Options]) -> AsyncIterator[httpx2.Response]:
        """Open a response to be read in pieces; a connection that breaks meanwhile raises APIConnectionError."""
        response = await self._send(method, path, options, stream=True)
        try:
            yield response
        except httpx2.TransportError as error:
            raise _connection_error(error, self.config.url) from error
        finally:
            await response.aclose()

    def paged(self, path: str, read: Callable[[Any], T], **params: Any) -> AsyncPaged[T]:
        """List what is at `path`, with each record parsed by `read`."""

        async def fetch(cursor: str | None) -> tuple[list[T], str | None]:
            page = await self.json("GET", path, params={**params, "cursor": cursor})
            return [self._parse(read, record) for record in page["data"]], page.get("next_cursor")

        return AsyncPaged(fetch)

    async def _send(self, method: str, path: str, options: Options, *, stream: bool) -> httpx2.Response:
        retries = options.get("max_retries", self.config.max_retries)
        # One key for the logical call: whichever attempt arrives, the service acts once.
        key = {"Idempotency-Key": str(uuid.uuid4())} if method == "POST" else {}
        for attempt in itertools.count():
            request = self._build(method, path, options, key)
            try:
                response = await self._attempt(request, stream=stream)
                if response.status_code < 400:
                    return response
                failure: APIError = status_error(response.status_code, response.headers, response.content)
                hopeless = not should_retry(response.status_code, response.headers)
                delay = retry_delay(attempt, response.headers)
            except httpx2.TransportError as error:
                failure, hopeless = _connection_error(error, self.config.url), False
                delay = retry_delay(attempt, {})
            if hopeless or attempt >= retries:
                raise failure
            await self.sleep(delay)
        raise AssertionError("counting has no end")

    def _build(self, method: str, path: str, options: Options, key: dict[str, str]) -> httpx2.Request:
        content = options.get("content")
        told = {}
        if content is not None:
            told["Content-Length"] = str(content.seek(0, os.SEEK_END))
            content.seek(0)  # an earlier attempt read it
        return self._http.build_request(
            method,
            path,
            params={name: value for name, value in options.get("params", {}).items() if value is not None},
            headers={**key, **told, **options.get("headers", {})},
            json=options.get("json"),
            data=options.get("data"),
            files=options.get("files"),
            content=None if content is None else streamed(content),
            timeout=httpx2.Timeout(options.get("timeout", self.config.timeout_seconds), connect=CONNECT_SECONDS),
        )

    async def _attempt(self, request: httpx2.Request, *, stream: bool) -> httpx2.Response:
        response = await self._http.send(request, stream=stream)
        if stream and response.status_code >= 400:
            try:
                await response.aread()
            finally:
                await response.aclose()
        return response


def _connection_error(error: httpx2.TransportError, url: str) -> APIConnectionError:
    if isinstance(error, httpx2.TimeoutException):
        return APITimeoutError(f"{url} did not answer in time ({type(error).__name__})")
    return APIConnectionError(f"no connection to {url}: {error or type(error).__name__}")
