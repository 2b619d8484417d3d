"""OpenVINO answers as PyTorch does, in every kind of thread, and keeps what it converts."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tsukiji.vision.packages import trained_looking, write_package
from tests.tsukiji.vision.pictures import noise
from tsukiji.errors import Invalid
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.engines import graphs
from tsukiji.vision.engines.graphs import GraphCache
from tsukiji.vision.engines.opening import GRAPHS, open_engine
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.predictor import Predictor

FLOAT32 = Plan("cpu", engine="openvino", batch_size=4)
BFLOAT16 = Plan("cpu", "bfloat16", engine="openvino", batch_size=4)
SIDE = 64
ROOT = Path(__file__).parents[4]


def pixels_of(count=5, side=SIDE):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0", "mobilenetv3_large_100", "convnext_atto"])
def test_embeddings_are_those_of_pytorch_at_any_size(backbone):
    preprocess = preprocess_of(backbone, SIDE)
    engine = open_engine(trained_looking(backbone), backbone, preprocess, FLOAT32)
    torchs = open_engine(trained_looking(backbone), backbone, preprocess, Plan("cpu"))
    assert engine.num_embedded == torchs.num_embedded
    for pixels in (pixels_of(), pixels_of(1), pixels_of(3, 43)):
        for found, expected in zip(engine.look(pixels), torchs.look(pixels), strict=True):
            assert found.shape == expected.shape
            assert np.allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0", "mobilenetv3_large_100"])
def test_maps_are_those_of_pytorch_at_any_proportions(backbone):
    preprocess = preprocess_of(backbone, SIDE)
    engine = open_engine(trained_looking(backbone), backbone, preprocess, FLOAT32)
    torchs = open_engine(trained_looking(backbone), backbone, preprocess, Plan("cpu"))
    for height, width in ((96, 64), (64, 128)):
        pixels = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
        for found, expected in zip(engine.stages(pixels), torchs.stages(pixels), strict=True):
            assert found.shape == expected.shape
            assert np.allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_package_answers_the_same(tmp_path):
    folder, images = write_package(tmp_path / "model"), [noise(40, 90, seed) for seed in range(6)]
    expected = Predictor.load(folder, "cpu").predict(images)
    exactly = Predictor.planned(folder, FLOAT32, tmp_path / "cache")
    assert np.allclose(exactly.predict(images), expected, atol=1e-5)
    lowered = Predictor.planned(folder, BFLOAT16, tmp_path / "cache")
    assert np.allclose(lowered.predict(images), expected, atol=0.03)
    spaces = {predictor.space for predictor in (exactly, lowered, Predictor.load(folder, "cpu"))}
    assert len(spaces) == 3, "embeddings of engines and precisions are never mixed"


def test_a_body_is_converted_once(tmp_path, monkeypatch):
    preprocess = preprocess_of("resnet18", SIDE)
    first = open_engine(trained_looking(), "resnet18", preprocess, FLOAT32, tmp_path)
    monkeypatch.setattr(graphs, "convert", lambda *_: pytest.fail("it was converted again"))
    for plan in (FLOAT32, BFLOAT16):
        again = open_engine(trained_looking(), "resnet18", preprocess, plan, tmp_path)
        assert np.allclose(again.look(pixels_of())[0], first.look(pixels_of())[0], rtol=0.1, atol=0.1)


def test_a_damaged_file_is_made_again(tmp_path):
    preprocess = preprocess_of("resnet18", SIDE)
    expected = open_engine(trained_looking(), "resnet18", preprocess, FLOAT32, tmp_path).look(pixels_of())[0]
    (kept,) = (tmp_path / GRAPHS).iterdir()
    (kept / graphs.TOPOLOGY).write_text("<net")
    engine = open_engine(trained_looking(), "resnet18", preprocess, FLOAT32, tmp_path)
    assert np.array_equal(engine.look(pixels_of())[0], expected)


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path):
    (tmp_path / "file").touch()
    engine = open_engine(trained_looking(), "resnet18", preprocess_of("resnet18", SIDE), FLOAT32, tmp_path / "file")
    assert np.isfinite(engine.look(pixels_of())[0]).all()


def test_kept_graphs_are_bounded_and_the_latest_used_stay(tmp_path):
    graph = graphs.convert(trained_looking(), preprocess_of("resnet18", SIDE))
    roomy = GraphCache(tmp_path / "graphs")
    roomy.write("0", graph)
    size = graphs.bytes_of(next((tmp_path / "graphs").iterdir()))
    small = GraphCache(tmp_path / "graphs", 2 * size)
    small.write("1", graph)
    for age, place in enumerate(sorted((tmp_path / "graphs").iterdir())):
        os.utime(place, (1000 + age, 1000 + age))
    small.read("0")
    small.write("2", graph)
    assert [name for name in "012" if small.read(name)] == ["0", "2"]
    assert len(list((tmp_path / "graphs").iterdir())) == 2, "nothing else is left there"


def test_streams_answer_alike_at_once_and_by_their_priority():
    engine = open_engine(
        trained_looking(), "resnet18", preprocess_of("resnet18", SIDE), Plan("cpu", engine="openvino", streams=2)
    )
    expected = engine.look(pixels_of())[0]

    def begin():
        torch.set_num_threads(1)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)

    with ThreadPoolExecutor(2, initializer=begin) as pool:
        found = [each[0] for each in pool.map(engine.look, [pixels_of()] * 6)]
    assert all(np.allclose(each, expected, rtol=1e-4, atol=1e-4) for each in found)
    threads = [int(one.name) for one in Path("/proc/self/task").iterdir()]
    niced = [one for one in threads if os.getpriority(os.PRIO_PROCESS, one) == 5]
    assert len(niced) >= 2, "OpenVINO's own threads of a batch give way, too"


def test_what_was_not_quantised_is_not_int8(tmp_path):
    with pytest.raises(Invalid, match="not quantised"):
        Predictor.planned(write_package(tmp_path / "model"), Plan("cpu", "int8", engine="openvino"))


FIRST_USES = """
import threading, time
import numpy as np
from tsukiji.vision.engines.openvino_runtime import openvino

class Slow(np.lib.NumpyVersion):
    def __init__(self, text):
        time.sleep(0.2)
        super().__init__(text)

np.lib.NumpyVersion = Slow  # asked for while the table of NumPy's functions is filled
threads = [threading.Thread(target=openvino.Type.f32.to_dtype) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_two_threads_may_be_the_first_to_compute():
    """One held the interpreter's lock and waited for the other, which waited for that lock: the whole process hung."""
    subprocess.run([sys.executable, "-c", FIRST_USES], cwd=ROOT, timeout=60, check=True)
