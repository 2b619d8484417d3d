"""How `bench.batches` takes a rate, and how its crowd of clients polls."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from bench.throughput import pollers, polling


class Clock:
    now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Batch:
    """Is planned for ten seconds, then does a hundred images every eight."""

    def __init__(self, clock, chunks):
        self.clock, self.chunks = clock, chunks

    @property
    def ended(self):
        return max(0, min(self.chunks, (self.clock.now - 10) // 8))

    @property
    def done(self):
        return self.ended == self.chunks

    def refresh(self):
        return SimpleNamespace(progress=SimpleNamespace(completed=100.0 * self.ended))

    def raise_for_status(self):
        pass


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(polling, "time", clock)
    return clock


@pytest.mark.parametrize("chunks", [2, 5])
def test_a_rate_leaves_out_what_comes_before_the_first_chunk(clock, chunks):
    assert polling.rate_of(Batch(clock, chunks)) == pytest.approx(12.5)


def test_a_batch_of_one_chunk_has_a_rate_too(clock):
    assert polling.rate_of(Batch(clock, 1)) == pytest.approx(100 / 18)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.known.append(self.headers["if-none-match"])
        self.send_response(server.status if len(server.known) <= 2 else 304)
        self.send_header("etag", '"1"')
        self.send_header("retry-after", "0")
        self.send_header("content-length", "0")
        self.end_headers()
        self.close_connection = server.closes
        if len(server.known) > 8:
            server.over.set()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.known, server.status, server.over, server.closes = [], 200, threading.Event(), False
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def poll(server):
    pollers.prepare(server.over)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    return pollers.poll(pollers.Pollers(url, "/v1/batches/bat_1", {"authorization": "Bearer key"}, 2, 0.01))


def test_clients_poll_until_told_to_stop_and_say_what_they_know(server):
    assert len(poll(server)) > 6
    assert server.known.count(None) == 2
    assert set(server.known) == {None, '"1"'}


def test_a_refused_poll_is_no_figure(server):
    server.status = 503
    with pytest.raises(RuntimeError, match="503"):
        poll(server)


def test_a_client_whose_line_was_closed_opens_another(server):
    server.closes = True
    assert len(poll(server)) > 6
