"""A process decodes no more at once than it has cores and memory for."""

import os
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.tsukiji.vision.pictures import noise, oriented, saved
from tests.tsukiji.vision.written import png
from tsukiji.errors import ImageTooCostly, ImageTruncated
from tsukiji.vision.decoding import decode, pixels, sandbox
from tsukiji.vision.decoding.budget import Budget
from tsukiji.vision.decoding.containers.contents import Contents
from tsukiji.vision.decoding.decode import DecodeLimits


class Room:
    """Threads that hold a part of a budget until they are let go."""

    def __init__(self, slots, most):
        self.budget, self.most, self.held, self.most_held = Budget(slots), most, [], 0
        self.changed, self.leave = threading.Condition(), threading.Event()

    def hold(self, size):
        with self.budget.take(size, self.most):
            with self.changed:
                self.held.append(size)
                self.changed.notify_all()
            assert self.leave.wait(30)

    def wait_for(self, *sizes):
        with self.changed:
            assert self.changed.wait_for(lambda: sorted(self.held) == sorted(sizes), 30), self.held


@pytest.fixture
def threads():
    with ThreadPoolExecutor(16) as pool:
        yield pool


def test_no_more_are_held_than_there_are_slots(threads):
    room = Room(2, 1000)
    waiting = [threads.submit(room.hold, 1) for _ in range(6)]
    room.wait_for(1, 1)
    room.leave.set()
    assert not any(future.exception() for future in waiting)
    assert len(room.held) == 6


def test_no_more_bytes_are_held_than_there_may_be_and_each_has_its_turn(threads):
    room = Room(8, 100)
    first = threads.submit(room.hold, 60)
    room.wait_for(60)
    large = threads.submit(room.hold, 500)
    while not room.budget._waiting:
        pass
    small = threads.submit(room.hold, 1)  # would fit, and does not overtake
    assert (large.done(), small.done(), room.held) == (False, False, [60])
    room.leave.set()
    for future in (first, large, small):
        future.result(30)
    assert room.held == [60, 500, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_begins_with_all_of_it():
    code = """if True:
        import os, sys
        from tsukiji.vision.decoding.budget import BUDGET
        with BUDGET.take(100, 100):
            if not (child := os.fork()):
                with BUDGET.take(100, 100):
                    os._exit(7)
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-W", "ignore", "-c", code) == 7


def taken(monkeypatch):
    """What is taken of the budget from now on."""
    found = []

    class Noting(Budget):
        def take(self, size, most):
            found.append((size, most))
            return super().take(size, most)

    monkeypatch.setattr(decode, "BUDGET", Noting(2))
    return found


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_each_picture_takes_what_it_needs(kind, monkeypatch):
    found = taken(monkeypatch)
    decode.probe(saved(noise(100, 80), kind), DecodeLimits(decoding_mb=3))
    ((size, most),) = found
    assert 8 * 8000 <= size <= 40 * 8000
    assert most == 3 * 2**20


def test_a_large_jpeg_that_is_decoded_smaller_takes_less(monkeypatch):
    found = taken(monkeypatch)
    plain, progressive = (saved(noise(800, 800), "JPEG", progressive=each) for each in (False, True))
    for data in (plain, progressive):
        decode.decode(data)
        decode.decode(data, target_side=50)
    whole, small, coded, coded_small = (size for size, _ in found)
    assert small == whole // 64
    assert coded_small == small + (coded - whole), "all its coefficients are there at once"


def test_what_is_refused_takes_nothing(monkeypatch):
    found = taken(monkeypatch)
    decode.measure(saved(noise(100, 80), "WEBP"))
    with pytest.raises(ImageTruncated):
        decode.probe(saved(noise(100, 80), "PNG")[:40])
    assert not found


def test_after_an_error_the_budget_is_whole(monkeypatch):
    monkeypatch.setattr(decode, "BUDGET", Budget(1))
    data = saved(noise(64, 64), "PNG")
    for _ in range(3):
        with pytest.raises(ImageTruncated):
            decode.probe(data[: len(data) // 2])
    assert decode.probe(data).width == 64


# --- apart -----------------------------------------------------------------------------------------------------------


def run_lengths(width, height, runs):
    """A BMP of 256 shades of red, packed by run lengths."""
    header = struct.pack("<IiiHHIIIIII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    palette = b"".join(bytes((tone, tone, 255, 0)) for tone in range(256))
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(header) + len(palette)) + header + palette + runs


@pytest.mark.skipif(sys.platform != "linux", reason="memory has no bound elsewhere")
def test_a_process_apart_has_no_more_memory_than_it_needs():
    data = run_lengths(40_000, 40_000, b"\xff\1" * 9)
    with pytest.raises(ImageTooCostly):
        sandbox.load(pixels.BmpImageFile, Contents(data, 10, 10, apart=True))  # as if it had lied about its size
    assert decode.probe(saved(noise(24, 24), "AVIF")).width == 24


def test_a_process_apart_that_was_killed_is_started_again():
    data = oriented(6, "AVIF", noise(24, 20))
    assert decode.measure(data) == (20, 24)
    sandbox._OTHER._process.kill()
    sandbox._OTHER._process.wait()
    with pytest.raises(ImageTooCostly):
        decode.measure(data)
    assert decode.measure(data) == (20, 24)


def test_one_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(sandbox, "LONGEST_SECONDS", 0)
    with pytest.raises(ImageTooCostly, match="more time"):
        decode.probe(saved(noise(24, 24), "AVIF"))
    monkeypatch.undo()
    assert decode.probe(saved(noise(24, 24), "AVIF")).width == 24


def test_runs_of_a_bmp_are_unpacked():
    picture = decode.decode(run_lengths(8, 8, b"\x08\x40\0\0" * 8 + b"\0\1"))
    assert (picture.size, picture.getpixel((4, 4))) == ((8, 8), (255, 64, 64))


def test_threads_share_the_process_apart(threads):
    files = [saved(noise(40, 30, seed), "AVIF", quality=100, subsampling="4:4:4") for seed in range(8)]
    expected = [np.asarray(decode.decode(data)) for data in files]
    found = list(threads.map(lambda data: np.asarray(decode.decode(data)), files))
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_pictures_of_16_bits_and_their_low_bytes_are_counted(monkeypatch):
    found = taken(monkeypatch)
    decode.probe(png(np.zeros((50, 50, 3), np.uint16)))
    assert found[0][0] >= 16 * 2500


def test_a_picture_is_closed_once_it_was_used(monkeypatch):
    monkeypatch.setattr(decode, "BUDGET", Budget(1))
    data = saved(noise(40, 30), "PNG")
    with decode.decoded(data) as picture:
        small = picture.resize((4, 3))
    with pytest.raises(ValueError, match="closed"):
        picture.getpixel((0, 0))
    assert small.getpixel((0, 0))
    with pytest.raises(ZeroDivisionError), decode.decoded(data):
        raise ZeroDivisionError
    assert decode.decode(data).getpixel((0, 0)), "what failed holds nothing"
