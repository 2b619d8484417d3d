"""An internet of one machine: a real server, and a network in which every address leads to it."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpcore2

PUBLIC = "93.184.216.34"
PICTURE = b"\x89PNG and so on"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append((self.headers["Host"], self.path))
        self.server.answers[self.path](self)

    def answer(self, body=PICTURE, status=200, kind="image/png", length=None, **headers):
        self.send_response(status)
        if kind is not None:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(answers):
    """A server that notes who asked for what; `answers` are functions by path."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answers = [], answers
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Network(httpcore2.SyncBackend):
    """The internet of a test: every address leads to its server, and each that was dialled is noted."""

    def __init__(self, server):
        self.port = server.server_address[1]
        self.dialled = []

    def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.dialled.append((host, port))
        return super().connect_tcp("127.0.0.1", self.port, timeout)
