"""`python -m api`: serves the API with uvicorn until a signal, or until its parent process ends."""

import argparse
import asyncio
import json
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import cast

import uvicorn
from fastapi import FastAPI

from api.http.protocol import Bounds
from api.main import create_app
from tsukiji import __version__
from tsukiji.errors import Invalid
from tsukiji.kernel import exposure, log, metrics, tracing
from tsukiji.kernel.parent_process import watch_stdin
from tsukiji.kernel.settings import Settings, load

OTHER_FILES = 200
LOCAL = ("127.0.0.1", "::1")
"""Peers whose forwarding headers are believed without a setting."""
GRACE_SECONDS = 2
"""Open requests get this long to end after a signal; those that only wait let go at once."""


class Server(uvicorn.Server):
    """Lets held connections go when it is told to stop, and says when it listens."""

    def __init__(self, app: FastAPI, settings: Settings, announce: Path | None) -> None:
        bounds = Bounds(settings, allowed_connections(settings.api.connections))
        config = uvicorn.Config(
            app,
            http=cast("type[asyncio.Protocol]", bounds.protocol),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            ssl_certfile=settings.api.tls_certificate,
            ssl_keyfile=settings.api.tls_key,
            forwarded_allow_ips=[*LOCAL, *settings.api.proxies],
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        super().__init__(config)
        self.app = app
        self.announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.announce and self.started and sockets:
            write_announcement(self.announce, sockets[0], "https" if self.config.is_ssl else "http")

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Stop from any thread, or as a signal's handler."""
        self.should_exit = True
        if services := getattr(self.app.state, "services", None):
            services.stopping.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self.stop()


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        settings = load()
        host = options.host or settings.api.host
        exposure.check(host, settings.api)
    except Invalid as error:
        sys.exit(f"{error.detail} {error.hint or ''}")
    log.configure(settings.log, "api")
    metrics.configure(settings, "api")
    tracing.configure("api", __version__)
    listener = open_listener(options.fd, host, settings.api.port if options.port is None else options.port)
    server = Server(create_app(settings), settings, options.announce)
    # uvicorn raises a signal again once it has stopped; ours then finds a server that has stopped, and we end with 0.
    signal.signal(signal.SIGTERM, server.stop)
    signal.signal(signal.SIGINT, server.stop)
    if options.watch_stdin:
        watch_stdin(server.stop)
    server.run(sockets=[listener])
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument("--host", help="address to listen on (TSUKIJI_API_HOST)")
    parser.add_argument("--port", type=int, help="port to listen on, 0 for a free one (TSUKIJI_API_PORT)")
    parser.add_argument("--fd", type=int, help="file descriptor of an inherited socket that already listens")
    parser.add_argument("--announce", type=Path, metavar="FILE", help='write {"url": ...} to this file once it listens')
    parser.add_argument("--watch-stdin", action="store_true", help="stop when standard input closes")
    return parser.parse_args(arguments)


def open_listener(fd: int | None, host: str, port: int) -> socket.socket:
    if fd is not None:
        return socket.socket(fileno=fd)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def allowed_connections(wanted: int) -> int:
    """Return how many connections may be open, and let the process open as many files as the system allows.

    A connection may need a second file, for the body that it sends; others are for the database and the store.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * wanted + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        more = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(ValueError, OSError):  # some systems have a bound beside this one
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
            soft = more
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, (soft - OTHER_FILES) // 2))


def write_announcement(path: Path, listener: socket.socket, scheme: str) -> None:
    """Write the address whole or not at all: others wait for this file."""
    host, port = listener.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    name = f"[{reachable}]" if ":" in reachable else reachable
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.write_text(json.dumps({"url": f"{scheme}://{name}:{port}", "pid": os.getpid()}), "utf-8")
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
