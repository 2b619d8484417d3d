"""Every path of the application with invalid input: always a response, never a 5xx."""

import asyncio
import json
from urllib.parse import unquote

import pytest

from db.paging import Window
from tests.api.hostile import KINDS
from tests.api.things import make

AT_ONCE = 20


@pytest.fixture
def things(client, services):
    return make(client, services)


def test_nothing_that_is_sent_makes_the_service_fail(app, key, things, monkeypatch):
    monkeypatch.setattr(Window, "digest", lambda _: "same")  # so that cursors fit everywhere
    cases = [case for kind in KINDS for case in kind(app)]
    assert len({path for _, path, *_ in cases}) > len(app.openapi()["paths"])
    failures = asyncio.run(send_all(app, {"authorization": f"Bearer {key}".encode()}, things, cases))
    assert not failures, f"{len(failures)} of {len(cases)}:\n" + "\n".join(failures[:50])


async def send_all(app, fields, things, cases):
    """Call the application itself, which takes a tenth of the time that a client takes; returns what failed."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(method, path, query, body, headers):
        for name, thing in things.items():
            path = path.replace("{" + name + "}", str(thing))
        assert "{" not in path, f"{path}: say in `things` what it means"
        async with turns:
            return await call(app, method, path, query, body, fields | headers)

    return [found for found in await asyncio.gather(*(one(*case) for case in cases)) if found]


async def call(app, method, path, query, body, fields):
    fields = {"host": b"127.0.0.1", "prefer": b"wait=0", "sec_fetch_site": b"same-origin"} | fields
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [(name.replace("_", "-").encode(), value) for name, value in fields.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
    }
    pieces, sent = [{"type": "http.request", "body": body, "more_body": False}], []
    heard_enough = asyncio.Event()

    async def receive():
        if not pieces:
            await heard_enough.wait()
        return pieces.pop() if pieces else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if path == "/v1/events" and message["type"] == "http.response.body":
            heard_enough.set()  # this stream has no end

    try:
        await app(scope, receive, send)
        status, answered = sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:])
        right = status < 500 and (status < 400 or method == "HEAD" or json.loads(answered)["status"] == status)
    except json.JSONDecodeError:
        right = not path.startswith("/v1/")  # the page answers in HTML
    except Exception as error:  # noqa: BLE001 - what a server would write into its log, and close the connection
        status, right = repr(error), False
    return None if right else f"{status} {method} {path[:80]} {query[:80]} {body[:80]} {fields}"
