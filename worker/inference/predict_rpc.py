"""The server of the predict RPC: the API sends a prediction's pictures, and gets the results on the same connection.

Handles the connections; `worker.inference.micro_batcher` computes the results. Nothing is stored here: the API writes
the prediction, or falls back to a batch.
"""

import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex
from typing import Any, Final

import structlog

from tsukiji.kernel.predict_rpc import Frame, RpcAddress, RpcBroken, challenge, is_proof, pack, proof, read_frame

log = structlog.get_logger(__name__)

SILENCE_SECONDS: Final = 5
"""A client must authenticate within this time."""


class Refused(Exception):
    """The request is not served here; the exception's text is the reason, one word."""


Compare = Callable[[str, dict[str, Any], list[bytes]], Frame]
"""From `similar` or `map`, the members of `SimilarQuery` or `MapQuery`, and files, to an answer."""


def refuse(_model_id: str, _files: list[bytes]) -> Frame:
    raise Refused("cold")


def refuse_to_compare(_what: str, _query: dict[str, Any], _files: list[bytes]) -> Frame:
    raise Refused("cold")


class PredictServer:
    """Listens from the start; answers once `serve` has set the handler.

    Raises:
        OSError: the address cannot be bound.
    """

    def __init__(self, host: str) -> None:
        self.secret = token_hex(32)
        self.ask: Callable[[str, list[bytes]], Frame] = refuse
        self.compare: Compare = refuse_to_compare
        self._server = Listener((host, 0), Connection)
        self._server.owner = self
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="predict-rpc", daemon=True).start()

    def address(self, worker: str) -> RpcAddress:
        """Return the address for the API."""
        host, port = self._server.server_address[:2]
        return RpcAddress(worker, str(host), int(port), self.secret)

    def serve(
        self,
        ask: Callable[[str, list[bytes]], Frame],
        compare: "Compare | None" = None,
    ) -> None:
        """Handle requests with these functions from now on; they are called by many threads, and may raise `Refused`.

        The first classifies for a model, the second compares kept features.
        """
        self.ask, self.compare = ask, compare or refuse_to_compare

    def close(self) -> None:
        """Stop listening. Open connections end with the process."""
        self._server.shutdown()
        self._server.server_close()


class Listener(socketserver.ThreadingTCPServer):
    """A daemon thread per connection of the API."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    owner: PredictServer


class Connection(socketserver.StreamRequestHandler):
    """Serves one request after the other, until the API closes the connection."""

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
        """Authenticate both sides."""
        secret, nonce = self.server.owner.secret, challenge()
        self.wfile.write(pack({"nonce": nonce}))
        hello, _ = read_frame(self.rfile) or ({}, [])
        if not is_proof(hello.get("proof"), secret, "api", nonce):
            log.warning("lane_stranger", peer=self.client_address[0])
            return False
        self.wfile.write(pack({"proof": proof(secret, "worker", str(hello.get("nonce")))}))
        return True

    def _answer(self, header: dict[str, Any], files: list[bytes]) -> Frame:
        if "model" not in header and "compare" not in header:
            raise RpcBroken("a request without a model")
        try:
            if "compare" in header:
                return self.server.owner.compare(header["compare"], header["query"], files)
            return self.server.owner.ask(str(header["model"]), files)
        except Refused as why:
            return {"refused": str(why)}, []
        except Exception as error:
            log.warning("lane_failed", exc_info=error)
            return {"refused": "failed"}, []
