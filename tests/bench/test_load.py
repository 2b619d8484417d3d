"""The benchmark of load tells what went wrong."""

import asyncio
import json

import httpx2
import pytest

from bench.load import PER_BATCH, Clients

LINES = "".join(json.dumps({"custom_id": f"{number}.jpg"}) + "\n" for number in range(PER_BATCH))


def figures(results=LINES, status="succeeded", submitted=202, **headers):
    """Return the figures of two clients at a service that answers so."""

    def answer(request):
        if request.method == "POST":
            return httpx2.Response(submitted, json={"id": "bat_1"}, headers={"retry-after": "0.01"} | headers)
        if request.url.path.endswith("/results"):
            return httpx2.Response(200, text=results)
        return httpx2.Response(200, json={"done": True, "status": status}, headers={"retry-after": "0.01"})

    clients = Clients("http://service", "key", "model", 0, memory=[100, 100, 110, 110], pause=0.01)
    asyncio.run(clients.run(2, 0.3, [], httpx2.MockTransport(answer)))
    return clients.figures()


def test_what_is_whole_is_counted():
    found = figures()
    assert found["batches"] > 1
    assert (found["errors"], found["lost"]) == (0, 0)
    assert found["memory_growth"] == pytest.approx(0.1)


@pytest.mark.parametrize("results", ["", LINES + LINES, LINES[: LINES.index("\n") + 1]])
def test_results_that_are_not_whole_are_lost(results):
    found = figures(results)
    assert found["lost"] == found["errors"] > 0


def test_batches_that_failed_are_lost():
    assert figures(status="failed")["lost"] > 0


def test_to_be_told_to_wait_is_no_error():
    assert figures(submitted=429)["errors"] == 0
    assert figures(submitted=503)["errors"] > 0
