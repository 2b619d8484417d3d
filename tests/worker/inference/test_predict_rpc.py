"""Results of the predict RPC equal those of the queue; concurrent requests share passes; failures do not block."""

import asyncio
import io
import socket
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from structlog.testing import capture_logs

from api.predict_rpc import PredictClient
from db.jobs import batches
from devtools.servers import wait_until
from tests.worker.conftest import picture, work
from tests.worker.inference.test_batch_inference import break_first
from tests.worker.jobs.test_batches import results, run_chunks, submit_zip
from tsukiji.errors import GpuOutOfMemory
from tsukiji.kernel.predict_rpc import RpcAddress, pack, read_frame
from worker.inference import predict_rpc as worker_lane
from worker.inference.micro_batcher import MicroBatcher, streams_of
from worker.inference.predict_rpc import PredictServer, Refused
from worker.jobs.batches import plan
from worker.shutdown import stopping


def png(number):
    buffer = io.BytesIO()
    picture(number).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def predict_server():
    predict_server = PredictServer("127.0.0.1")
    yield predict_server
    predict_server.close()


@pytest.fixture
def batcher(services, models, model):
    models.get(model.id)
    yield MicroBatcher(services, models)
    stopping.set()
    gone = wait_until(lambda: all(thread.name != "micro-batcher" for thread in threading.enumerate()))
    assert gone, "it ends at once"


class Passes:
    """Counts the passes of a predictor, and can hold up one."""

    def __init__(self, predictor):
        self.sizes, self.real = [], predictor.embed_pixels
        self._began, self._go_on = threading.Event(), threading.Event()
        self._go_on.set()

    def embed_pixels(self, pixels):
        self.sizes.append(len(pixels))
        self._began.set()
        assert self._go_on.wait(30)
        return self.real(pixels)

    @contextmanager
    def held(self, first):
        """Start the thread that asks first; its pass ends with this context."""
        self._go_on.clear()
        first.start()
        assert self._began.wait(30)
        yield
        self._go_on.set()


def held_up(predictor, monkeypatch):
    passes = Passes(predictor)
    monkeypatch.setattr(predictor, "embed_pixels", passes.embed_pixels)
    return passes


def lines_open():
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def ask(*addresses, model_id="mdl", files=(b"1",)):
    async def session():
        client = PredictClient()
        try:
            return await client.ask(addresses, model_id, files)
        finally:
            client.close()

    return asyncio.run(session())


def test_the_answers_are_those_of_the_queue(services, submit, model, models, archive, predict_server, batcher):
    files = {"1.png": png(1), "bad.jpg": b"no picture", "2.png": png(2)}
    job = submit_zip(services, submit, model, archive(files))
    work(services, job.id, plan)
    run_chunks(services, models)
    queued = results(services, job)
    predict_server.serve(batcher.ask)
    answer = ask(predict_server.address("w"), model_id=model.id, files=list(files.values()))
    assert answer.worker == "w"
    for theirs, row in zip(queued, answer.rows, strict=True):
        ours = batches.blank_prediction(0) | row
        assert (ours["label"], ours["width"], ours["height"]) == (theirs.label, theirs.width, theirs.height)
        assert (ours["error"] and ours["error"]["code"]) == (theirs.error and theirs.error["code"])
        if theirs.probabilities:
            mine, other = (np.frombuffer(blob, "<f4") for blob in (ours["probabilities"], theirs.probabilities))
            assert mine == pytest.approx(other, abs=1e-5)
            assert ours["score"] == pytest.approx(theirs.score, abs=1e-5)
            assert ours["known_score"] == theirs.known_score


def test_an_answer_that_is_no_number_is_an_error_as_in_the_queue(model, models, predict_server, batcher, monkeypatch):
    break_first(monkeypatch)
    predict_server.serve(batcher.ask)
    first, second = ask(predict_server.address("w"), model_id=model.id, files=[png(1), png(2)]).rows
    assert first["error"]["code"] == "output_not_finite"
    assert "probabilities" not in first
    assert len(np.frombuffer(second["probabilities"], "<f4")) == 2
    assert second["label"]


def test_who_waits_while_a_pass_is_under_way_shares_the_next(models, model, batcher, monkeypatch):
    predictor = models.get(model.id).predictor
    passes = held_up(predictor, monkeypatch)
    replies = {}

    def call(number):
        rows, parts = batcher.ask(model.id, [png(number)])
        replies[number] = (rows["rows"][0]["label"], np.frombuffer(parts[0], "<f4"))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(9)]
    with passes.held(threads[0]):
        for thread in threads[1:]:
            thread.start()
        assert wait_until(lambda: len(batcher._waiting) == 8)
    for thread in threads:
        thread.join(30)
    assert passes.sizes[0] == 1
    assert sum(passes.sizes) == 9
    assert len(passes.sizes) == 1 + min(8, streams_of(predictor)), "those who waited share a pass of each stream"
    for number, (label, probabilities) in replies.items():
        alone = predictor.answer([picture(number)]).probabilities[0]
        assert probabilities == pytest.approx(alone, abs=1e-5), "each has its own answer"
        assert label == model.label_names[alone.argmax()]


def test_a_pass_is_no_larger_than_the_device_takes(models, model, batcher, monkeypatch):
    predictor = models.get(model.id).predictor
    predictor.batch_size = 4
    passes = held_up(predictor, monkeypatch)
    threads = [threading.Thread(target=batcher.ask, args=(model.id, [png(1)] * 3)) for _ in range(4)]
    with passes.held(threads[0]):
        for thread in threads[1:]:
            thread.start()
        assert wait_until(lambda: len(batcher._waiting) == 3)
    for thread in threads:
        thread.join(30)
    assert passes.sizes == [3, 3, 3, 3]


def test_what_it_cannot_answer_it_refuses(services, models, model, batcher, monkeypatch):
    with pytest.raises(Refused, match="cold"):
        batcher.ask("mdl_unknown", [png(1)])
    assert batcher.ask(model.id, [b"no picture"])[0]["rows"][0]["error"]["code"] == "not_an_image"
    monkeypatch.setattr("worker.inference.micro_batcher.MOST_WAITING", 0)
    with pytest.raises(Refused, match="busy"):
        batcher.ask(model.id, [png(1)])
    monkeypatch.undo()

    def fail(_pictures):
        raise GpuOutOfMemory

    monkeypatch.setattr(models.get(model.id).predictor, "embed_pixels", fail)
    with pytest.raises(Refused, match="failed"):
        batcher.ask(model.id, [png(1)])
    monkeypatch.undo()
    assert batcher.ask(model.id, [png(1)])[1], "it lives on"
    stopping.set()
    with pytest.raises(Refused):
        batcher.ask(model.id, [png(1)])


# --- the line --------------------------------------------------------------------------------------------------------


def test_a_lane_that_is_cold_or_away_is_passed_over(predict_server):
    warm = PredictServer("127.0.0.1")
    warm.serve(lambda _model, files: ({"rows": [{"label": "red"} for _ in files]}, [b"\0" * 4 for _ in files]))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = RpcAddress("gone", "127.0.0.1", listening.getsockname()[1], "s")
    assert ask(predict_server.address("cold")) is None
    answer = ask(closed, predict_server.address("cold"), warm.address("warm"), files=[b"1", b"2"])
    assert (answer.worker, len(answer.rows)) == ("warm", 2)
    warm.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it is meant to die
def test_a_worker_that_dies_half_way_costs_only_the_line(predict_server):
    """It has read the question, and is killed: the line breaks."""

    def die(_model, _files):
        raise SystemExit  # ends the connection's thread, and the line with it

    predict_server.serve(die)
    with capture_logs() as lines:
        assert ask(predict_server.address("w")) is None
    assert [line["event"] for line in lines] == ["lane_unreachable"]


def test_neither_side_speaks_with_a_stranger(predict_server):
    predict_server.serve(lambda _model, _files: ({"rows": []}, []))
    real = predict_server.address("w")
    asked = []
    with capture_logs() as lines:
        assert ask(RpcAddress("w", real.host, real.port, "another secret")) is None
    assert {line["event"] for line in lines} >= {"lane_unreachable"}

    server = socket.create_server(("127.0.0.1", 0))

    def pretend():
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as file:
            connection.sendall(pack({"nonce": "0"}))
            asked.append(read_frame(file))
            connection.sendall(pack({"proof": "0" * 64}))
            asked.append(read_frame(file))

    thread = threading.Thread(target=pretend)
    thread.start()
    assert ask(RpcAddress("w", "127.0.0.1", server.getsockname()[1], real.secret)) is None
    thread.join(10)
    server.close()
    assert asked[1] is None, "no picture was sent"


@pytest.mark.parametrize("sent", [b"", b"no frame\n", b'{"sizes":[-1]}\n', b'{"sizes":[99]}\n12', b'{"sizes":[1e9]}\n'])
def test_what_is_no_frame_ends_the_line_and_nothing_else(predict_server, sent):
    address = predict_server.address("w")
    with socket.create_connection((address.host, address.port)) as connection, connection.makefile("rb") as file:
        read_frame(file)
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert file.read() == b""
    predict_server.serve(lambda _model, _files: ({"rows": []}, []))
    assert ask(address) is not None


def test_a_line_is_used_again_and_its_thread_ends_with_it(predict_server):
    predict_server.serve(lambda _model, _files: ({"rows": []}, []))

    async def session():
        client = PredictClient()
        for _ in range(5):
            assert await client.ask([predict_server.address("w")], "m", [b"1"])
        assert lines_open() == 1
        await asyncio.gather(*(client.ask([predict_server.address("w")], "m", [b"1"]) for _ in range(6)))
        client.close()

    asyncio.run(session())
    assert wait_until(lambda: lines_open() == 0)


def test_who_says_nothing_is_sent_away(predict_server, monkeypatch):
    monkeypatch.setattr(worker_lane, "SILENCE_SECONDS", 0.05)
    address = predict_server.address("w")
    with socket.create_connection((address.host, address.port)) as connection, connection.makefile("rb") as file:
        assert read_frame(file)
        assert file.read() == b""
