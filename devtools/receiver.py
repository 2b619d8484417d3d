"""A real receiver of webhooks: it verifies signatures as the specification's own package does, and remembers."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


class Receiver:
    """What was received. `behave` decides each answer: a status, or `(status, headers)`; it may sleep before."""

    def __init__(self, behave=lambda _receiver: 204):
        self.behave = behave
        self.secrets = []
        self.messages = {}
        """Bodies that were taken with 2xx, by webhook-id."""
        self.requests = []
        """The webhook-id of each request, whatever the answer."""
        self.forged = 0
        """Requests that none of the secrets verifies."""
        self.lock = threading.Lock()
        self.url = ""

    def verify(self, body, headers):
        for secret in self.secrets:
            try:
                return Webhook(secret).verify(body, headers)
            except WebhookVerificationError:
                continue
        return None

    def take(self, body, headers):
        answer = self.behave(self)
        status, extra = answer if isinstance(answer, tuple) else (answer, {})
        message = self.verify(body, headers)
        with self.lock:
            self.requests.append(headers.get("webhook-id"))
            if message is None:
                self.forged += 1
            elif 200 <= status < 300:
                self.messages[headers["webhook-id"]] = message
        return status, extra

    def wait(self, count: int, seconds: float = 10) -> list[Any]:
        """Wait until this many different messages were taken; returns them in the order of arrival."""
        until = time.monotonic() + seconds
        while len(self.messages) < count and time.monotonic() < until:
            time.sleep(0.01)
        return list(self.messages.values())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, extra = self.server.receiver.take(body, {name.lower(): value for name, value in self.headers.items()})
        try:
            self.send_response(status)
            for name, value in {"Content-Length": "0", **extra}.items():
                self.send_header(name, value)
            self.end_headers()
        except OSError:
            self.close_connection = True  # the sender had waited long enough


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """A sender that was killed, or gave up waiting, is no error of ours."""


@contextmanager
def receiving(behave=lambda _receiver: 204, port=0):
    """Run a receiver on this machine."""
    receiver = Receiver(behave)
    server = Server(("127.0.0.1", port), Handler)
    server.receiver = receiver
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
