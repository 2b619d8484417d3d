"""The interactive lane: the API hands a prediction's pictures to this process, and has the answers on the same line.

Here are the connections; `worker.inference.micro_batcher` finds the answers. Nothing is kept
here: the API writes the answer down, or falls back to a batch.
"""

import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex
from typing import Any, Final

import structlog

from tsukiji.kernel.predict_rpc import Frame, LaneAddress, LaneBroken, challenge, is_proof, pack, proof, read_frame

log = structlog.get_logger(__name__)

SILENCE_SECONDS: Final = 5
"""Who connects must say who it is within this time."""


class Refused(Exception):
    """The lane does not answer this; the exception's text is the reason, one word."""


def refuse(_model_id: str, _files: list[bytes]) -> Frame:
    raise Refused("cold")


class Lane:
    """Listens from the start; answers once `serve` has said who does.

    Raises:
        OSError: there is no listening at this address.
    """

    def __init__(self, host: str) -> None:
        self.secret = token_hex(32)
        self.ask: Callable[[str, list[bytes]], Frame] = refuse
        self._server = Listener((host, 0), Connection)
        self._server.lane = self
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="lane", daemon=True).start()

    def address(self, worker: str) -> LaneAddress:
        """Return where the API finds this lane."""
        host, port = self._server.server_address[:2]
        return LaneAddress(worker, str(host), int(port), self.secret)

    def serve(self, ask: Callable[[str, list[bytes]], Frame]) -> None:
        """Answer questions with this from now on; it is called by many threads, and raises `Refused`."""
        self.ask = ask

    def close(self) -> None:
        """Stop listening. Lines that are open end with the process."""
        self._server.shutdown()
        self._server.server_close()


class Listener(socketserver.ThreadingTCPServer):
    """A thread for each connection of the API; none of them keeps the process alive."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    lane: Lane


class Connection(socketserver.StreamRequestHandler):
    """One question after the other, until the API closes."""

    disable_nagle_algorithm = True
    server: Listener

    def handle(self) -> None:
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # an API that vanished, with its host
            self.connection.settimeout(SILENCE_SECONDS)
            if self._greet():
                self.connection.settimeout(None)
                while (frame := read_frame(self.rfile)) is not None:
                    self.wfile.write(pack(*self._answer(*frame)))

    def _greet(self) -> bool:
        """Prove who we are, and see who asks."""
        secret, nonce = self.server.lane.secret, challenge()
        self.wfile.write(pack({"nonce": nonce}))
        hello, _ = read_frame(self.rfile) or ({}, [])
        if not is_proof(hello.get("proof"), secret, "api", nonce):
            log.warning("lane_stranger", peer=self.client_address[0])
            return False
        self.wfile.write(pack({"proof": proof(secret, "worker", str(hello.get("nonce")))}))
        return True

    def _answer(self, header: dict[str, Any], files: list[bytes]) -> Frame:
        try:
            model_id = str(header["model"])
        except KeyError as error:
            raise LaneBroken("a request without a model") from error
        try:
            return self.server.lane.ask(model_id, files)
        except Refused as why:
            return {"refused": str(why)}, []
        except Exception as error:
            log.warning("lane_failed", exc_info=error)
            return {"refused": "failed"}, []
