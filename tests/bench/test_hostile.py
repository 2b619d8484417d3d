"""The hostile clients of the benchmark are told apart by how their attempts end."""

import asyncio
import io
import json
import zipfile

import pytest
from PIL import Image

from bench.attacks import BOMB_SIDE, Target, attack, bomb, package
from bench.hostile import figures_of


def serve(answer):
    """Return what runs a server on a free port, which says `answer` to whatever comes, around an act."""

    async def handle(reader, writer):
        await reader.read(1)
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def main(act):
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await asyncio.to_thread(act, port)

    return lambda act: asyncio.run(main(act))


def test_what_is_answered_is_counted():
    def act(port):
        return attack("streams", Target("127.0.0.1", port, "key", "trn_1", "hostile", seconds=2, clients=2, seed=0))

    ended = serve(b"HTTP/1.1 429 No\r\nContent-Length: 2\r\n\r\nno")(act)
    assert ended["429"]
    assert set(ended) <= {"429", "held"}


def test_what_is_sent_is_small_and_unpacks_to_much():
    assert len(bomb()) < 100_000
    assert int.from_bytes(bomb()[16:20]) == BOMB_SIDE
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(bomb()))
    large = package(deep=False)
    assert len(large) < 200_000
    assert sum(entry.file_size for entry in zipfile.ZipFile(io.BytesIO(large)).infolist()) > 10_000_000


def test_the_worst_attack_counts():
    def found(waited, refused, **ended):
        return {"livez_p95_ms": waited, "api_memory_mb": 100, "refused": refused, "crashed": 0, "ended": ended}

    runs = [{"calm": found(1, 0), "idle": found(5, 3, closed=3), "streams": found(waited, 2)} for waited in (7, 9)]
    figures = figures_of(runs)
    assert (figures["livez_p95_ms"], figures["refused"], figures["calm_ms"]) == (8, 10, 1)
    assert json.dumps(figures)
